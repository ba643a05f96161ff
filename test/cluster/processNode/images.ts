import type { V1Pod } from "@kubernetes/client-node";

/** What an image's entry learns about the container it is asked to run. */
export interface ContainerContext {
  readonly pod: V1Pod;
  /** The container as the pod spells it, with variables expanded and mount paths translated to local folders. */
  readonly container: {
    readonly name: string;
    readonly image: string;
    readonly command: readonly string[];
    readonly args: readonly string[];
    readonly env: Readonly<Record<string, string>>;
  };
  /** The local path of a path inside the container; itself when no mount covers it. */
  path(mountPath: string): string;
  /** The free loopback port that stands for a declared container port. Throws for a port the container does not declare. */
  port(containerPort: number): number;
}

/** The process that stands for a container: argv, and variables that win over the container's own. */
export interface ContainerProcess {
  command: string[];
  env?: Record<string, string>;
}

/** One entry per image, named with or without its tag. */
export type Images = Record<string, (context: ContainerContext) => ContainerProcess>;

/** Finds the entry for an image: the exact reference first, then the reference without digest and tag. */
export function findImage(images: Images, reference: string): Images[string] | undefined {
  const bare = reference.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  return images[reference] ?? images[bare];
}
