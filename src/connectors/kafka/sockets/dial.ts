// How a connection to a broker comes about. The package @platformatic/kafka secures it and logs in;
// where neither is asked for, a socket is enough, which then reads into one buffer over and over:
// a new one for every 64 KiB that arrive makes V8 collect all of its heap again and again.

import { createConnection, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type { Connection } from '@platformatic/kafka';
import type { KafkaConnection } from '../../../ports/kafka-wire.ts';
import { AnswerReader } from './answer-reader.ts';
import { FrameReader } from './frame-reader.ts';
import { kafkaPackage } from './kafka-package.ts';
import { RequestWriter } from './request-writer.ts';
import { tooOld } from './wire-api.ts';
import type { BrokerVersions } from './wire-api.ts';

export type LinkAddress = { readonly host: string; readonly port: number };

/** What a broker says of itself. */
export type BrokerAbilities = {
  readonly versions: BrokerVersions;
  /** Levels of the cluster's features, by their names. */
  readonly features: ReadonlyMap<string, number>;
};

export type Dial = {
  /** Connects, secures, logs in, asks for versions. Once. */
  connect(): Promise<BrokerAbilities>;
  /** Null before there is one. */
  readonly socket: Socket | null;
  /** Whether a chunk is overwritten by the next one. */
  readonly reusesChunks: boolean;
  /** What arrives from now on. */
  receive(onChunk: (chunk: Buffer) => void): void;
  /** Gives up whatever it is about. */
  abandon(): void;
};

export function newDial(
  options: KafkaConnection,
  address: LinkAddress,
  onRetire: () => void,
): Dial {
  const isPlain = options.tls === false && options.sasl === null;
  return isPlain ? new PlainDial(options, address) : new PackageDial(options, address, onRetire);
}

/** As the package says it, too. */
export const requiresTls = 'Broker requires TLS.';

const readBytes = 256 * 1024;
const apiVersionsKey = 18;
const unsupportedVersion = 35;

class PlainDial implements Dial {
  readonly reusesChunks = true;
  readonly #options: KafkaConnection;
  readonly #address: LinkAddress;
  #socket: Socket | null = null;
  #onChunk: (chunk: Buffer) => void = () => {};

  constructor(options: KafkaConnection, address: LinkAddress) {
    this.#options = options;
    this.#address = address;
  }

  get socket(): Socket | null {
    return this.#socket;
  }

  connect(): Promise<BrokerAbilities> {
    const { host, port } = this.#address;
    const { connectTimeoutMs } = this.#options;
    return new Promise((resolve, reject) => {
      const socket = createConnection({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafeSlow(readBytes),
          callback: (length, buffer) => {
            this.#onChunk((buffer as Buffer).subarray(0, length));
            return true;
          },
        },
      });
      this.#socket = socket;
      const settle = (error: Error | null, abilities?: BrokerAbilities): void => {
        clearTimeout(timer);
        socket.off('error', settle);
        socket.off('close', onClose);
        if (error === null) resolve(abilities!);
        else reject(error);
      };
      const onClose = (): void => settle(new Error('the broker closed the connection'));
      const timer = setTimeout(() => {
        settle(new Error(`Connection to ${host}:${port} timed out.`));
        socket.destroy();
      }, connectTimeoutMs);
      socket.on('error', settle);
      socket.on('close', onClose);
      socket.once('connect', () => this.#ask(socket, `${host}:${port}`, settle));
    });
  }

  receive(onChunk: (chunk: Buffer) => void): void {
    this.#onChunk = onChunk;
  }

  abandon(): void {
    this.#socket?.destroy();
  }

  #ask(
    socket: Socket,
    broker: string,
    settle: (error: Error | null, abilities?: BrokerAbilities) => void,
  ): void {
    const frames = new FrameReader(
      (frame) => {
        try {
          settle(null, readAbilities(new AnswerReader(frame, 4), broker));
        } catch (error) {
          settle(error as Error);
        }
      },
      { reusesChunks: this.reusesChunks },
    );
    this.#onChunk = (chunk) => {
      // An alert of TLS: it takes our request for a broken handshake.
      if (chunk[0] === 0x15 && chunk[1] === 0x03) return settle(new Error(requiresTls));
      try {
        frames.push(chunk);
      } catch (error) {
        settle(error as Error);
      }
    };
    const writer = new RequestWriter();
    writer.int16(apiVersionsKey).int16(3).int32(0).shortText(this.#options.clientId).noTags();
    writer.text('mizzle').text('1').noTags();
    for (const part of writer.finish()) socket.write(part);
  }
}

/** Of version 3; the header of this answer has no tags, so that old clients can read it. */
function readAbilities(reader: AnswerReader, broker: string): BrokerAbilities {
  const error = reader.int16();
  if (error === unsupportedVersion) throw tooOld(broker, 'it does not know ApiVersions 3');
  if (error !== 0) throw new Error(`the broker refuses to say what it can, with code ${error}`);
  const versions = new Map(
    reader.array(() => {
      const key = reader.int16();
      const range = { min: reader.int16(), max: reader.int16() };
      reader.skipTags();
      return [key, range] as const;
    }),
  );
  reader.int32();
  const features = new Map<string, number>();
  reader.tags((tag) => {
    if (tag !== finalizedFeaturesTag) return;
    reader.array(() => {
      const name = reader.text();
      features.set(name, reader.int16());
      reader.int16();
      reader.skipTags();
    });
  });
  return { versions, features };
}

const finalizedFeaturesTag = 2;

class PackageDial implements Dial {
  readonly reusesChunks = false;
  readonly #address: LinkAddress;
  readonly #connection: Connection;
  #failure: unknown = null;

  constructor(options: KafkaConnection, address: LinkAddress, onRetire: () => void) {
    const { Connection: PackageConnection } = kafkaPackage();
    this.#address = address;
    this.#connection = new PackageConnection(options.clientId, connectionOptions(options, address));
    // Without a listener its errors would end the process. A request that fails with the
    // connection does not say why: a broker that refuses our certificate does so after it was made.
    this.#connection.on('error', (error: unknown) => (this.#failure ??= error));
    // Logging in again, before a session ends, would go by the package's own reading: the next
    // request gets a new connection instead.
    this.#connection.reauthenticate = onRetire;
  }

  get socket(): Socket | null {
    return (this.#connection.socket as Socket | undefined) ?? null;
  }

  async connect(): Promise<BrokerAbilities> {
    const { host, port } = this.#address;
    await this.#connection.connect(host, port);
    const { apiVersionsV3 } = kafkaPackage();
    let answer: Awaited<ReturnType<typeof apiVersionsV3.api.async>>;
    try {
      answer = await apiVersionsV3.api.async(this.#connection, 'mizzle', '1');
    } catch (error) {
      const isOld = isUnsupported(error);
      if (isOld) throw tooOld(`${host}:${port}`, 'it does not know ApiVersions 3');
      throw this.#failure ?? error;
    }
    return {
      versions: new Map(
        answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [
          apiKey,
          { min: minVersion, max: maxVersion },
        ]),
      ),
      features: new Map(
        (answer.finalizedFeatures ?? []).map(({ name, maxVersionLevel }) => [
          name,
          maxVersionLevel,
        ]),
      ),
    };
  }

  /** The package's own reading of answers copies them several times. */
  receive(onChunk: (chunk: Buffer) => void): void {
    const socket = this.#connection.socket as Socket;
    socket.removeAllListeners('data');
    socket.on('data', onChunk);
  }

  /** In this order: the package forgets its timers, then nothing waits for what is not sent. */
  abandon(): void {
    const { socket } = this;
    this.#connection.close().catch(() => {});
    socket?.destroy();
  }
}

function connectionOptions(options: KafkaConnection, { host }: LinkAddress): object {
  const { tls, sasl } = options;
  // Without a name of its own, the host's, which certificates are of; an address is no such name,
  // and is compared with the certificate all the same.
  const serverName = (tls !== true && tls !== false && tls.servername) || isIP(host) === 0;
  return {
    connectTimeout: options.connectTimeoutMs,
    // Of the requests by which it connects: a broker that hangs must not be waited for.
    requestTimeout: options.connectTimeoutMs,
    ...(tls === false ? {} : { tls: tls === true ? {} : tls }),
    ...(tls === false ? {} : { tlsServerName: serverName }),
    ...(sasl === null ? {} : { sasl }),
  };
}

function isUnsupported(error: unknown): boolean {
  const response = (error as { readonly response?: { readonly errorCode?: number } }).response;
  return response?.errorCode === unsupportedVersion;
}
