/** A condition as the runner decides it; the times come when it is written. */
export function condition<T extends string>(type: T, status: "True" | "False", reason: string, message: string) {
  return { type, status, reason, message } as const;
}
