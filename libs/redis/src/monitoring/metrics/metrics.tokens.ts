/** The registry of prom-client, which is not there before it is loaded. */
export const METRICS_REGISTRY = Symbol('anbar:metrics-registry');
