"""The calls that docs/api.md shows in other languages, made for real where the tools are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.test_docs import BIN, ROOT, blocks

PAGE = ROOT / "docs" / "api.md"
BUF = shutil.which("buf", path=str(BIN)) or shutil.which("buf")
DEBIAN_GO = Path(os.environ.get("GOPATH", "/usr/share/gocode"))
PATH = f"{BIN}:{os.environ['PATH']}"


def run(command, folder, **environment):
    return subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**os.environ, "PATH": PATH, **environment},
        capture_output=True,
        text=True,
        timeout=110,
    )


def shown(language, *holding):
    """The one block of the page in this language that holds these words."""
    [found] = [b for b in blocks(PAGE, language) if all(word in b for word in holding)]
    return found


def command(server, *holding):
    return shown("sh", *holding).replace("127.0.0.1:50051", server.address)


def test_the_generated_python_classes_select_and_show_what_is_wrong(
    server_process, probabilities, capsys
):
    for block in blocks(PAGE, "python"):
        exec(block.replace("127.0.0.1:50051", server_process.address), {"probs": probabilities})
    printed = capsys.readouterr().out
    assert "INVALID_ARGUMENT budget.count: found 0; at least 1 is right\n" in printed
    assert "\nbudget.count\n" in printed
    assert "\nINVALID_REQUEST " in printed


@pytest.mark.skipif(BUF is None, reason="buf is not installed")
def test_buf_curl_streams(server_process, tmp_path):
    done = run(command(server_process, "buf curl"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"indices":[1]' in "".join(done.stdout.split())


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_grpcurl_selects_and_shows_what_is_wrong(server_process, tmp_path):
    done = run(command(server_process, "grpcurl", "pool"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"indices":[1]' in "".join(done.stdout.split())
    done = run(command(server_process, "grpcurl", '"count": 0'), tmp_path)
    assert done.returncode == 67
    found, expected = done.stderr.split('"request_id"'), shown("text").split('"request_id"')
    assert found[0] == expected[0]
    assert found[1].partition("}")[2].strip() == expected[1].partition("}")[2].strip()


@pytest.mark.skipif(BUF is None or shutil.which("npm") is None, reason="buf or npm is missing")
def test_a_typescript_client_is_generated_and_calls(server_process, tmp_path):
    install, install_tools, generate = shown("sh", "npm install").splitlines()
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    (tmp_path / "buf.gen.yaml").write_text(shown("yaml", "protoc-gen-es"))
    picks = shown("ts").replace("127.0.0.1:50051", server_process.address)
    (tmp_path / "picks.ts").write_text(picks)
    for line in (install, install_tools):
        if run(f"{line} --no-audit --no-fund --prefer-offline", tmp_path).returncode:
            pytest.skip("the npm registry is out of reach")
    done = run(generate, tmp_path)
    assert done.returncode == 0, done.stderr
    unary, streamed, refused = done.stdout.splitlines()
    assert unary == streamed == "[ 1, 2 ]"
    assert refused.startswith("NotFound strategy: 'nope' is unknown")


@pytest.mark.skipif(
    None in (BUF, *map(shutil.which, ("go", "protoc-gen-go", "protoc-gen-go-grpc")))
    or not (DEBIAN_GO / "src/google.golang.org/grpc").is_dir(),
    reason="Go with gRPC (Debian: golang-google-grpc-dev protoc-gen-go-grpc) is not installed",
)
def test_a_go_client_is_generated_and_calls(server_process, tmp_path):
    folder = tmp_path / "src" / "picks"
    shutil.copytree(ROOT / "protos", folder / "protos")
    (folder / "buf.gen.yaml").write_text(shown("yaml", "protoc-gen-go"))
    # Debian's grpc-go is older than the two names, which is all that differs.
    program = shown("go").replace('\t"google.golang.org/grpc/credentials/insecure"\n', "")
    program = program.replace(
        "grpc.WithTransportCredentials(insecure.NewCredentials())", "grpc.WithInsecure()"
    )
    (folder / "main.go").write_text(program.replace("grpc.NewClient(", "grpc.Dial("))
    done = run([BUF, "generate"], folder)
    assert done.returncode == 0, done.stderr
    built = run(
        ["go", "build", "-o", "made", "."],
        folder,
        GO111MODULE="off",
        GOPATH=f"{tmp_path}:{DEBIAN_GO}",
        GOFLAGS="",
    )
    assert built.returncode == 0, built.stderr
    done = run([folder / "made", server_process.address], folder)
    assert (done.stdout, done.stderr) == ("[1]\n", "")
