// A host that looks for its driver just when that one dies looks on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import process from 'node:process';
import { test } from 'node:test';
import type { Connection } from './connection.ts';
import { reachDriver } from './reach-driver.ts';

async function listening(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('reachDriver tries again when a driver dies before it has accepted', async () => {
  const dying = await listening(0);
  const { port } = dying.address() as AddressInfo;
  const logged: string[] = [];
  const reached = reachDriver({
    endpoints: [{ host: '127.0.0.1', port }],
    tls: null,
    waitMs: 30_000,
    log: (_, what) => logged.push(what),
    introduce: (socket) => {
      socket.destroy();
      return Promise.resolve({} as Connection);
    },
  });
  // The system has connected the two by then, and this side has not looked.
  process.nextTick(() => dying.close());
  await once(dying, 'close');
  const next = await listening(port);
  await reached.finally(() => next.close());
  assert.deepEqual(logged, [`waiting for the driver at 127.0.0.1:${port}`]);
});
