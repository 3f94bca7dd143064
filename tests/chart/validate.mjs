// Reads a JSON array of custom resources and fails, with a sentence, on one that its schema refuses.
import { Certificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate";
import { GRPCRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GRPCRoute";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
import { readFileSync } from "node:fs";

const kinds = { Certificate, GRPCRoute, PrometheusRule, ScaledObject, ServiceMonitor };

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  new kinds[object.kind](object).validate();
}
