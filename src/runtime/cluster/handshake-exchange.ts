// The handshake over a connection, from both sides. The acceptor looks at versions first, then at
// the secret, and only then at who it is; whoever is refused is told why.

import { randomBytes } from 'node:crypto';
import { unreachable } from '../../base/assert.ts';
import type { StreamError } from '../../base/stream-error.ts';
import { errorFromData, errorToData } from '../../base/stream-error.ts';
import { refusalText } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { HandshakeMessage, Hello } from '../../control/protocol/handshake.ts';
import { nonceBytes, readHandshake, writeHandshake } from '../../control/protocol/handshake.ts';
import { protocolVersion } from '../../control/protocol/version.ts';
import { clusterError } from './cluster-errors.ts';
import type { Connection } from './connection.ts';
import type { Identity } from './identity.ts';
import type { Security } from './security.ts';
import { proofMismatch, proofOf } from './security.ts';

/** How long each step may take, ms. */
export const handshakeMs = 5_000;

/** What the initiator says of itself. */
export type Introduction = Omit<Hello, 'kind' | 'protocol' | 'nonce' | keyof Identity>;

/** Resolves when the other side has let us in; rejects with why it, or we, refused. */
export async function introduce(
  connection: Connection,
  options: {
    readonly identity: Identity;
    readonly security: Security;
    readonly introduction: Introduction;
    /** An acceptor may have to wait for its own job before it can tell. */
    readonly welcomeMs?: number;
  },
): Promise<void> {
  const { identity, security, introduction } = options;
  const hello = encode({
    kind: 'hello',
    protocol: protocolVersion,
    nonce: randomBytes(nonceBytes),
    ...identity,
    ...introduction,
  });
  connection.send([hello]);
  const challenge = await connection.next(handshakeMs);
  const challenged = read(connection, challenge);
  if (challenged.kind !== 'challenge') throw unexpected(connection, challenged);
  const transcript = [hello, challenge];
  const mac = proofOf(security.secret, 'initiator', transcript);
  connection.send([encode({ kind: 'proof', mac })]);
  const welcomed = read(connection, await connection.next(options.welcomeMs ?? handshakeMs));
  if (welcomed.kind !== 'welcome') throw unexpected(connection, welcomed);
  const expected = proofOf(security.secret, 'acceptor', transcript);
  const mismatch = proofMismatch(expected, welcomed.mac);
  if (mismatch !== null) {
    const error = secretError(connection.peer, mismatch === 'missing' ? 'unwanted' : 'wrong');
    connection.destroy(error);
    throw error;
  }
}

/** Resolves with who was let in; rejects, and has told the other side why, if nobody was. */
export async function admit(
  connection: Connection,
  options: {
    readonly identity: Identity;
    readonly security: Security;
    /** Looks at who it is once it has proved itself; an error refuses it. */
    readonly check: (hello: Hello) => Promise<StreamError | null>;
  },
): Promise<Hello> {
  const { identity, security, check } = options;
  const first = await connection.next(handshakeMs);
  const hello = read(connection, first);
  if (hello.kind !== 'hello') throw unexpected(connection, hello);
  const stranger = versionError(connection.peer, hello, identity);
  if (stranger !== null) throw refuse(connection, stranger);
  const challenge = encode({ kind: 'challenge', nonce: randomBytes(nonceBytes), ...identity });
  connection.send([challenge]);
  const proof = read(connection, await connection.next(handshakeMs));
  if (proof.kind !== 'proof') throw unexpected(connection, proof);
  const transcript = [first, challenge];
  const mismatch = proofMismatch(proofOf(security.secret, 'initiator', transcript), proof.mac);
  if (mismatch !== null) throw refuse(connection, secretError(connection.peer, mismatch));
  const error = await check(hello);
  if (error !== null) throw refuse(connection, error);
  const mac = proofOf(security.secret, 'acceptor', transcript);
  connection.send([encode({ kind: 'welcome', mac })]);
  return hello;
}

function encode(message: HandshakeMessage): Uint8Array {
  const writer = new ByteWriter();
  writeHandshake(writer, message);
  return Buffer.concat(writer.finish());
}

function read(connection: Connection, frame: Uint8Array): HandshakeMessage {
  const decoded = readHandshake(frame, protocolVersion);
  if (decoded.ok) return decoded.value;
  const error = clusterError({
    code: 'handshake-failed',
    message: `${connection.peer} does not speak our protocol: ${refusalText(decoded.refusal)}`,
    hint: 'is the address right, and do both sides use TLS, or neither?',
    peer: connection.peer,
  });
  connection.destroy(error);
  throw error;
}

function unexpected(connection: Connection, message: HandshakeMessage): StreamError {
  const error =
    message.kind === 'refused'
      ? errorFromData({ ...message.error, stack: null })
      : clusterError({
          code: 'handshake-failed',
          message: `${connection.peer} said "${message.kind}" out of turn`,
          hint: 'is it another program, or a release of another protocol?',
          peer: connection.peer,
        });
  connection.destroy(error);
  return error;
}

function refuse(connection: Connection, error: StreamError): StreamError {
  connection.send([encode({ kind: 'refused', error: { ...errorToData(error), stack: null } })]);
  connection.end();
  return error;
}

function versionError(peer: string, hello: Hello, own: Identity): StreamError | null {
  if (hello.protocol !== protocolVersion) {
    return clusterError({
      code: 'protocol-mismatch',
      message: `${peer} speaks protocol ${hello.protocol}, this side ${protocolVersion}`,
      hint: 'run the same release of mizzle on all machines',
      peer,
    });
  }
  if (hello.release !== own.release) {
    return clusterError({
      code: 'release-mismatch',
      message: `${peer} runs mizzle ${hello.release}, this side ${own.release}`,
      hint: `install mizzle@${own.release} there, or ${hello.release} here`,
      peer,
    });
  }
  if (hello.runtime !== own.runtime) {
    return clusterError({
      code: 'runtime-mismatch',
      message: `${peer} runs on ${hello.runtime}, this side on ${own.runtime}`,
      hint: 'use the same version on all machines: results must not depend on where a task runs',
      peer,
    });
  }
  if (hello.timeZone !== own.timeZone) {
    return clusterError({
      code: 'time-zone-mismatch',
      message: `${peer} is in time zone ${hello.timeZone}, this side in ${own.timeZone}`,
      hint: `start both with the same zone, such as TZ=${own.timeZone}`,
      peer,
    });
  }
  return null;
}

function secretError(peer: string, mismatch: 'missing' | 'unwanted' | 'wrong'): StreamError {
  switch (mismatch) {
    case 'missing':
      return clusterError({
        code: 'secret-missing',
        message: `${peer} did not show that it knows the cluster's secret`,
        hint: 'start it with the same `--secret-env` as the driver',
        peer,
      });
    case 'unwanted':
      return clusterError({
        code: 'secret-mismatch',
        message: `one of ${peer} and this side uses a secret, the other does not`,
        hint: 'give all processes of the cluster the same `--secret-env`, or none',
        peer,
      });
    case 'wrong':
      return clusterError({
        code: 'secret-mismatch',
        message: `${peer} uses another secret`,
        hint: 'the variables that `--secret-env` names must hold the same text everywhere',
        peer,
      });
    default:
      return unreachable(mismatch);
  }
}
