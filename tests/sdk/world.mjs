// What the tests of SDKs for Node have in common: mocks with a gateway over them, and how tests are run. What the file
// of a world has, world.py says.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const CLIENT_KEY = "sk-key-of-the-caller";
const WAIT_MS = 10_000; // For what happens soon on any machine.

// Mocks and a gateway over them; ends them all.
export class World {
  children = [];
  mocks = {};
  dir = mkdtempSync(join(tmpdir(), "lb-sdk-"));

  async open(lb, file) {
    const world = JSON.parse(readFileSync(file, "utf8"));
    for (const dialect of world.dialects ?? []) {
      const each = JSON.stringify(world.deployments_of_each).replaceAll("DIALECT", dialect);
      world.config.deployments.push(...JSON.parse(each));
    }
    let text = JSON.stringify(world.config);
    for (const [name, options] of Object.entries(world.mocks)) {
      const line = await this.start(lb, "mock", "--options", JSON.stringify(options));
      this.mocks[name] = line.match(/http:\/\/\S+(?=\/v1)/)[0];
      text = text.replaceAll(`"${name.toUpperCase()}"`, `"${this.mocks[name]}/v1"`);
    }
    const path = join(this.dir, "lb.json");
    writeFileSync(path, text);
    this.url = (await this.start(lb, "serve", path)).match(/http:\/\/\S+/)[0];
  }

  async start(program, ...args) {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    this.children.push(child);
    for await (const line of createInterface({ input: child.stdout })) return line;
    throw new Error(`${args[0]} did not start`);
  }

  async journal(mock) {
    return (await fetch(this.mocks[mock] + "/mock/journal")).json();
  }

  async calls(mock, model) {
    return (await this.journal(mock)).calls.filter((call) => call.model === model);
  }

  // What the mock was asked last for that model.
  async lastBody(mock, model) {
    return JSON.parse((await this.calls(mock, model)).at(-1).body);
  }

  stop() {
    for (const child of this.children) child.kill("SIGKILL");
    rmSync(this.dir, { recursive: true });
  }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
// The clock of the journal.
export const now = () => Number(process.hrtime.bigint()) / 1e6;

export async function until(what) {
  for (const end = now() + WAIT_MS; now() < end; await sleep(10)) {
    const value = await what();
    if (value) return value;
  }
  throw new Error("did not happen in time");
}

export async function raised(kind, act) {
  try {
    await act();
  } catch (error) {
    assert.equal(error.constructor.name, kind.name, String(error));
    return error;
  }
  assert.fail(`no ${kind.name} was raised`);
}

// Runs the tests of a script whose arguments are LB and the folder with `file`, a world's: each is a function of the
// world and a client that clientOf makes of it.
export async function run(label, file, tests, clientOf) {
  const [lb, here] = process.argv.slice(2);
  const world = new World();
  let failed = 0;
  try {
    await world.open(lb, join(here, file));
    const client = clientOf(world);
    for (const [name, test] of Object.entries(tests)) {
      try {
        await test(world, client);
        console.log(`ok ${label} ${name}`);
      } catch (error) {
        failed++;
        console.log(`not ok ${label} ${name}`);
        console.error(error);
      }
    }
  } finally {
    world.stop();
  }
  console.log(`# ${label}: ${Object.keys(tests).length - failed} ok, ${failed} not ok`);
  process.exit(failed ? 1 : 0);
}
