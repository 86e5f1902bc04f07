// What must be the same in all processes of a cluster, because outputs depend on it: the release,
// the JavaScript runtime, and the time zone.

import { readFileSync } from 'node:fs';
import process from 'node:process';

export type Identity = {
  readonly release: string;
  readonly runtime: string;
  readonly timeZone: string;
};

export function ownIdentity(): Identity {
  // The same place above src/ in a checkout and above dist/ in the package.
  const url = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(url, 'utf8')) as { readonly version: string };
  return {
    release: version,
    runtime: `node ${process.versions.node}, v8 ${process.versions.v8}`,
    timeZone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
  };
}
