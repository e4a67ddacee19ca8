// The projection onto {p in [0,1]^n : sum p = k} and its loss, as a program for hsproj-verify: node capped_simplex.mjs
// One request a line on standard input, one reply a line on standard output: docs/protocol.md.
import { createInterface } from "node:readline";

const clip = (z) => Math.min(Math.max(z, 0), 1);
const sum = (values) => values.reduce((a, b) => a + b, 0);

function project(x, k, tau) {
  // Halve an interval that holds the threshold until its ends are neighbours: that tells which entries are free.
  let low = Math.min(...x) - tau, high = Math.max(...x);
  for (let middle; (middle = low / 2 + high / 2), low < middle && middle < high; ) {
    if (sum(x.map((score) => clip((score - middle) / tau))) >= k) low = middle;
    else high = middle;
  }
  const ones = x.filter((score) => score - tau > low).length;
  const free = x.filter((score) => score > low && score - tau <= low);
  if (free.length === 0) return x.map((score) => (score > low ? 1 : 0));
  // The threshold that gives the free ones the total they have to share, as its distance from one of them.
  const base = free[0];
  const delta = (sum(free.map((score) => score - base)) - (k - ones) * tau) / free.length;
  return x.map((score) => clip((score - base - delta) / tau));
}

function answer({ op, n, k, temperature, x, targets }) {
  if (op === "hello")
    return { protocol: 1, operations: ["project", "loss"], without: ["infinities", "offsets", "large"], note: `node ${process.version}` };
  // What JSON has no number for comes as a string.
  if (![k, temperature, ...x].every(Number.isFinite)) throw RangeError("finite numbers, please");
  if (!(0 <= k && k <= n && temperature > 0)) throw RangeError("0 <= k <= n and a positive temperature, please");
  const p = project(x, k, temperature);
  return op === "project" ? p : sum(p.map((entry, i) => (entry - targets[i]) ** 2)) / 2;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let reply;
  try {
    reply = { id: request.id, result: answer(request) };
  } catch (error) {
    reply = { id: request.id, error: error.message };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
}
