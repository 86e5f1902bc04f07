// Asks a broker that let nobody in what it wants: only for messages, by a connection of its own.

import type { KafkaConnection } from '../../../ports/kafka-wire.ts';
import { newDial, requiresTls } from './dial.ts';
import type { Dial, LinkAddress } from './dial.ts';
import { FrameReader } from './frame-reader.ts';
import { RequestWriter } from './request-writer.ts';

const saslHandshakeKey = 17;
const unsupportedMechanism = 33;

/** Null: that cannot be told now. */
export async function spokenAt(
  options: KafkaConnection,
  address: LinkAddress,
): Promise<'tls' | 'plain text' | null> {
  const dial = newDial({ ...options, tls: false, sasl: null }, address, () => {});
  try {
    await dial.connect();
    return 'plain text';
  } catch (error) {
    return error instanceof Error && error.message === requiresTls ? 'tls' : null;
  } finally {
    dial.abandon();
  }
}

/** The mechanisms of login that it has, of which it demands one; null: none, or nobody knows. */
export async function demandedLogins(
  options: KafkaConnection,
  address: LinkAddress,
): Promise<readonly string[] | null> {
  const dial = newDial({ ...options, sasl: null }, address, () => {});
  let timer: NodeJS.Timeout | undefined;
  try {
    await dial.connect();
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, options.connectTimeoutMs, null);
    });
    const frame = await Promise.race([handshake(dial, options.clientId), late]);
    return frame === null ? null : readMechanisms(frame);
  } catch {
    // What the connection before this one has failed with is reported.
    return null;
  } finally {
    clearTimeout(timer);
    dial.abandon();
  }
}

/** With a mechanism that nobody has, so that the answer lists those that there are. */
function handshake(dial: Dial, clientId: string): Promise<Buffer | null> {
  const socket = dial.socket!;
  return new Promise((resolve) => {
    const { reusesChunks } = dial;
    const frames = new FrameReader((frame) => resolve(Buffer.from(frame)), { reusesChunks });
    dial.receive((chunk) => {
      try {
        frames.push(chunk);
      } catch {
        resolve(null);
      }
    });
    socket.on('error', () => resolve(null));
    socket.on('close', () => resolve(null));
    const writer = new RequestWriter();
    writer.int16(saslHandshakeKey).int16(1).int32(0).shortText(clientId).shortText('NONE');
    for (const part of writer.finish()) socket.write(part);
  });
}

/** Behind the correlation id: a code and short texts, of the older notation. */
function readMechanisms(frame: Buffer): readonly string[] | null {
  if (frame.readInt16BE(4) !== unsupportedMechanism) return null;
  const names: string[] = [];
  let at = 10;
  for (let left = frame.readInt32BE(6); left > 0; left--) {
    const end = at + 2 + frame.readInt16BE(at);
    names.push(frame.toString('utf8', at + 2, end));
    at = end;
  }
  return names;
}
