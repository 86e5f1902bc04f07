// What must be the same in all processes of a cluster, because outputs depend on it: the release,
// the JavaScript runtime, and the time zone.

import { readFileSync } from 'node:fs';
import process from 'node:process';
import { packageManifest } from '../host/engine-files.ts';

export type Identity = {
  readonly release: string;
  readonly runtime: string;
  readonly timeZone: string;
};

export function ownIdentity(): Identity {
  const text = readFileSync(packageManifest, 'utf8');
  const { version } = JSON.parse(text) as { readonly version: string };
  return {
    release: version,
    runtime: `node ${process.versions.node}, v8 ${process.versions.v8}`,
    timeZone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}
