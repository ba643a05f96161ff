import { expect, it } from "vitest";
import { veleroModule } from "../../cluster/veleroVersion.ts";

it("is the shipped one unless another is asked for", () => {
  expect(veleroModule({})).toBe("velero");
  expect(veleroModule({ OPERATION_RUNNER_VELERO: "" })).toBe("velero");
  expect(veleroModule({ OPERATION_RUNNER_VELERO: "1.14" })).toBe("velero-1.14");
});

it.each(["1.2", "constructor"])("cannot be %s, and the choices are named", (wanted) => {
  expect(() => veleroModule({ OPERATION_RUNNER_VELERO: wanted })).toThrow(
    `OPERATION_RUNNER_VELERO is "${wanted}", and can be 1.18 or 1.14`,
  );
});
