// A process that adds to the number under "counter" sixty times, and tells each time by a byte.

import process from 'node:process';
import { DirectoryStore } from './directory-store.ts';

const store = new DirectoryStore(process.argv[2]!);
for (let round = 0; round < 60; round++) {
  for (;;) {
    const { bytes, tag } = (await store.get('counter'))!;
    const next = String(Number(new TextDecoder().decode(bytes)) + 1);
    const replaced = await store.replace('counter', new TextEncoder().encode(next), tag);
    if (replaced !== null) break;
  }
  process.stdout.write('+');
}
