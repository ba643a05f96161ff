import { expect, test, vi } from "vitest";
import { EventRecorder } from "../../../src/kube/events.ts";
import { configMap, type Exchange, recordingLogger, serve } from "./loopback.ts";

test("a flood of Events takes two connections, and each Event is written", async () => {
  const open: Exchange[] = [];
  const server = await serve((exchange) => {
    open.push(exchange);
  });
  const recorder = new EventRecorder(server.client, recordingLogger().logger, {
    component: "c",
    controller: "example.com/c",
    instance: "i",
  });
  const object = configMap("a", "1");
  const written = Array.from({ length: 100 }, (_, number) =>
    recorder.announce(object, {
      type: "Normal",
      reason: "R",
      action: "A",
      message: `${number}`,
      at: "2026-01-01T00:00:00Z",
    }),
  );
  let most = 0;
  for (let answered = 0; answered < 100; answered += 1) {
    await vi.waitUntil(() => open.length > 0);
    most = Math.max(most, open.length);
    open.shift()?.json(201, object);
  }
  await Promise.all(written);
  expect(most).toBeLessThanOrEqual(2);
  expect(server.connections()).toBeLessThanOrEqual(2);
});
