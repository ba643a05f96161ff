import { createServer, request, type Server } from "node:http";
import { constants } from "node:os";
import { text } from "node:stream/consumers";
import { z } from "zod";

const signal = z.custom<NodeJS.Signals>((value) => typeof value === "string" && value in constants.signals);

/** What the cluster's host can be asked to do. */
const order = z.discriminatedUnion("do", [
  z.object({ do: z.literal("user"), name: z.string(), groups: z.array(z.string()) }),
  z.object({ do: z.literal("restartApiServer") }),
  z.object({ do: z.literal("pauseObjectStore") }),
  z.object({ do: z.literal("resumeObjectStore") }),
  z.object({ do: z.literal("killPod"), namespace: z.string(), pod: z.string(), signal }),
  z.object({ do: z.literal("evictPod"), namespace: z.string(), pod: z.string() }),
]);
export type Order = z.infer<typeof order>;

const answer = z.union([z.object({ result: z.string() }), z.object({ error: z.string() })]);

/** Takes orders on a Unix socket; the string that `carryOut` resolves to, or its error, is the answer. */
export async function listenForOrders(socket: string, carryOut: (order: Order) => Promise<string>): Promise<Server> {
  const server = createServer(async (incoming, outgoing) => {
    const reply = await text(incoming)
      .then(async (body) => ({ result: await carryOut(order.parse(JSON.parse(body))) }))
      .catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }));
    outgoing.end(JSON.stringify(reply));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socket, resolve);
  });
  return server;
}

/** Gives an order to the host behind `socket` and waits until it is carried out. Throws what the host answers as error. */
export function giveOrder(socket: string, value: Order): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, method: "POST" }, (incoming) => {
      text(incoming)
        .then((body) => {
          const reply = answer.parse(JSON.parse(body));
          if ("error" in reply) throw new Error(reply.error);
          return reply.result;
        })
        .then(resolve, reject);
    });
    outgoing.once("error", (error) => reject(new Error(`the test cluster does not answer: ${error.message}`)));
    outgoing.end(JSON.stringify(value));
  });
}
