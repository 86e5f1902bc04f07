// `mizzle version`: the versions that a bug report needs.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { packageManifest } from '../../runtime/host/engine-files.ts';

const help = `mizzle version

Prints the version of Mizzle, of Node.js, and the platform.
`;

export const versionCommand = {
  summary: 'prints the versions',
  help,
  run(): Promise<number> {
    const text = readFileSync(packageManifest, 'utf8');
    const { version } = JSON.parse(text) as { readonly version: string };
    const { platform, arch } = process;
    process.stdout.write(`mizzle ${version}, node ${process.versions.node}, ${platform} ${arch}\n`);
    return Promise.resolve(0);
  },
};
