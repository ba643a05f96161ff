import { ApiException, type CoreV1Api, type V1ConfigMap, type V1Secret } from "@kubernetes/client-node";

/** The ConfigMaps and Secrets of one namespace; undefined for one that does not exist. */
export interface NamespaceObjects {
  configMap(name: string): Promise<V1ConfigMap | undefined>;
  secret(name: string): Promise<V1Secret | undefined>;
}

/** Reads them from the API server each time: the node keeps no cache that could be stale. */
export function namespaceObjects(core: CoreV1Api, namespace: string): NamespaceObjects {
  return {
    configMap: (name) => found(core.readNamespacedConfigMap({ name, namespace })),
    secret: (name) => found(core.readNamespacedSecret({ name, namespace })),
  };
}

async function found<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return undefined;
    throw error;
  }
}
