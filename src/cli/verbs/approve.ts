import { readFile } from "node:fs/promises";
import os from "node:os";
import { parseGoDuration } from "../../api/duration.ts";
import { isVeleroOperation, MAX_TEXT, operations } from "../../api/operation.ts";
import { timestamp } from "../../api/status.ts";
import { approvalToken } from "../approval.ts";
import { type Context, readOperation } from "../context.ts";
import { UsageError } from "../exit.ts";
import { type ChangeOptions, reportChange, writeOptions } from "../mutation.ts";
import { hasEnded, situationOf } from "../situation.ts";

export interface ApproveOptions extends ChangeOptions {
  readonly keyFile: string;
  readonly validFor: string;
  readonly by?: string;
}

/** Signs that this very Operation may run, and writes that into it. */
export async function approve(name: string, options: ApproveOptions, context: Context): Promise<number> {
  const { access, now } = context;
  const validMs = durationOf(options.validFor);
  const by = (options.by ?? userName()).slice(0, MAX_TEXT);
  const key = await readKey(options.keyFile);
  const operation = await readOperation(context, name);
  if (!isVeleroOperation(operation)) throw new Error(`operation/${name}: ${situationOf(operation).message}`);
  const situation = situationOf(operation);
  if (hasEnded(situation)) throw new Error(`operation/${name} has ended (${situation.state}): run it again first`);
  const at = now();
  const approvals = {
    claim: approvalToken(operation, { by, key, now: at, validMs }),
    approvedBy: by,
    approvedAt: timestamp(at),
  };
  const until = timestamp(new Date(at.getTime() + validMs));
  const what = `approved until ${until}`;
  if (options.dryRun === "client") {
    const { spec } = operation;
    const approved = { ...operation, spec: { ...spec, approvals: { ...spec.approvals, ...approvals } } };
    return reportChange(approved, what, options, context);
  }
  // What was looked at is what is approved: another resourceVersion would be another request.
  const { uid, resourceVersion } = operation.metadata;
  const patch = { metadata: { uid, resourceVersion }, spec: { approvals } };
  const write = { ...writeOptions(context), dryRun: options.dryRun === "server" };
  const changed = await access.client.mergePatch(operations, operation.metadata, patch, write);
  return reportChange(changed, what, options, context);
}

function durationOf(text: string): number {
  const nanoseconds = parseGoDuration(text);
  if (nanoseconds === undefined || nanoseconds <= 0n) {
    throw new UsageError(`--valid-for: "${text}" must be a duration greater than 0, such as "1h"`);
  }
  return Number(nanoseconds / 1_000_000n);
}

async function readKey(file: string): Promise<string> {
  const key = await readFile(file, "utf8").catch((error: unknown) => {
    throw new Error(`--key-file: ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (key.trim() === "") throw new Error(`--key-file: ${file} is empty`);
  return key;
}

function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    throw new UsageError("--by: who approves must be named: this user has no name here");
  }
}
