#!/usr/bin/env node
// Starts the command line. Syntax that an old Node understands, because telling its user what to do
// is this file's first task. A checkout has src/ and runs from it; the package has dist/ only.

var needed = [22, 18];
var parts = process.versions.node.split('.');
var major = Number(parts[0]);
var tooOld = major < needed[0] || (major === needed[0] && Number(parts[1]) < needed[1]);

if (tooOld) {
  console.error(
    'mizzle needs Node ' +
      needed.join('.') +
      ' or newer; this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').\n' +
      'Install a current Node from https://nodejs.org, or run it without installing:\n' +
      '  npx --package=node@24 --package=mizzle mizzle ' +
      process.argv.slice(2).join(' '),
  );
  process.exitCode = 1;
} else {
  start().then(
    function (exitCode) {
      process.exitCode = exitCode;
    },
    function (error) {
      console.error(error);
      process.exitCode = 1;
    },
  );
}

// No `import.meta` here: a Node that takes this file for CommonJS would refuse to parse it.
function start() {
  return Promise.all([
    import('node:fs'),
    import('node:module'),
    import('node:path'),
    import('node:os'),
  ])
    .then(function (modules) {
      var fs = modules[0];
      var path = modules[2];
      keepCompiled(modules[1], fs, path.join(cacheFolder(path, modules[3]), 'mizzle', 'compiled'));
      var packageFolder = path.dirname(path.dirname(fs.realpathSync(process.argv[1])));
      var inCheckout = fs.existsSync(path.join(packageFolder, 'src', 'cli', 'main.ts'));
      return import(inCheckout ? '../src/cli/main.ts' : '../dist/cli.js');
    })
    .then(function (cli) {
      return cli.main(process.argv.slice(2));
    });
}

function cacheFolder(path, os) {
  return process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
}

// Node keeps what it has compiled, which saves most of the time that loading the engine takes, here
// and, by the environment, in worker threads and host processes. In the user's own folder: whoever
// can write there decides what runs. Where the environment has a word on it, Node has heeded it.
function keepCompiled(nodeModule, fs, folder) {
  if (process.env.NODE_COMPILE_CACHE || process.env.NODE_DISABLE_COMPILE_CACHE) return;
  try {
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch {
    return; // No home, or one that is read-only: everything is compiled anew, as without a cache.
  }
  if (nodeModule.enableCompileCache(folder).directory) process.env.NODE_COMPILE_CACHE = folder;
}
