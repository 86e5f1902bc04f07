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
  return Promise.all([import('node:fs'), import('node:module'), import('node:path')])
    .then(function (modules) {
      var fs = modules[0];
      var path = modules[2];
      // Saves about two thirds of the time that loading the engine's modules takes.
      modules[1].enableCompileCache();
      var packageFolder = path.dirname(path.dirname(fs.realpathSync(process.argv[1])));
      var inCheckout = fs.existsSync(path.join(packageFolder, 'src', 'cli', 'main.ts'));
      return import(inCheckout ? '../src/cli/main.ts' : '../dist/cli.js');
    })
    .then(function (cli) {
      return cli.main(process.argv.slice(2));
    });
}
