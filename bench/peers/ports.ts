// What listens on this machine: whether a port answers, and what a local page says.

import { connect } from 'node:net';

export function tcpAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** Null: nobody answers yet, or only with an error. */
export async function localJson(port: number, path: string): Promise<unknown> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    // Servers that are starting refuse, or break off.
    return null;
  }
}
