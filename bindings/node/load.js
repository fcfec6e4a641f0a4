'use strict';
// Finds the addon: where LB_NODE_ADDON says; else in the package of this platform, an optional dependency; else in the
// build directory of the tree that this file stands in.
const { join } = require('node:path');

function candidates() {
  if (process.env.LB_NODE_ADDON) return [process.env.LB_NODE_ADDON];
  const platform = `${process.platform}-${process.arch}`;
  // npm installs the one whose os, cpu and libc are this machine's.
  const packages = process.platform === 'linux' ? [`${platform}-gnu`, `${platform}-musl`] : [platform];
  return [...packages.map((name) => `@lb/${name}`), join(__dirname, '../../build/bindings/node/lb.node')];
}

function load() {
  const all = candidates();
  for (const name of all) {
    try {
      return require(name);
    } catch (error) {
      // Not there is one thing, there and broken another. A path says so by its own name, a package by its.
      if (error.code !== 'MODULE_NOT_FOUND' || !error.message.includes(name)) throw error;
    }
  }
  throw new Error(`no addon: looked for ${all.join(', ')}`);
}

module.exports = load();
