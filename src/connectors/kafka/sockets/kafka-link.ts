// One connection to one broker, which answers its requests in their order.

import type { Socket } from 'node:net';
import type { KafkaConnection } from '../../../ports/kafka-wire.ts';
import { WireFailure } from '../../../ports/kafka-wire.ts';
import { AnswerReader } from './answer-reader.ts';
import { FrameReader } from './frame-reader.ts';
import { newDial } from './dial.ts';
import type { Dial, LinkAddress } from './dial.ts';
import type { FrameBuffers } from './frame-buffers.ts';
import { connectFailure, reasonOf } from './link-failures.ts';
import { RequestWriter } from './request-writer.ts';
import { chooseVersion } from './wire-api.ts';
import type { BrokerVersions, WireApi } from './wire-api.ts';

export type LinkCall = {
  readonly timeoutMs: number;
  /** No newer version than that. */
  readonly versionMax?: number;
};

export type LinkHooks = {
  /** No further requests should come here; what is under way still is. Once. */
  readonly leave: () => void;
  readonly ended: () => void;
};

type Waiting = {
  readonly answer: (frame: Buffer) => void;
  readonly fail: (failure: WireFailure) => void;
};

const correlationBytes = 4;

export class KafkaLink {
  readonly broker: string;
  readonly address: LinkAddress;
  readonly #options: KafkaConnection;
  readonly #hooks: LinkHooks;
  readonly #dial: Dial;
  readonly #buffers: FrameBuffers;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Socket | null = null;
  #versions: BrokerVersions = new Map();
  #features: ReadonlyMap<string, number> = new Map();
  #correlation = 0;
  #failure: WireFailure | null = null;
  #retired = false;
  #hasAnswered = false;

  constructor(
    options: KafkaConnection,
    address: LinkAddress,
    hooks: LinkHooks & { readonly buffers: FrameBuffers },
  ) {
    this.#options = options;
    this.#hooks = hooks;
    this.#buffers = hooks.buffers;
    this.address = address;
    this.broker = `${address.host}:${address.port}`;
    this.#dial = newDial(options, address, () => this.#retire());
  }

  /** Levels of the cluster's features, by their names, as of connecting. */
  get features(): ReadonlyMap<string, number> {
    return this.#features;
  }

  /** It ended before it had answered anything, as those do that demand a login. */
  get endedMute(): boolean {
    return this.#failure !== null && !this.#hasAnswered;
  }

  get usable(): boolean {
    return this.#failure === null && !this.#retired;
  }

  /** Once, before the first call. Rejects with `WireFailure`, or where trying again cannot help. */
  async connect(): Promise<void> {
    try {
      const { versions, features } = await this.#dial.connect();
      this.#versions = versions;
      this.#features = features;
    } catch (error) {
      const tried = { options: this.#options, address: this.address };
      const failure = await connectFailure(this.#failure ?? error, tried);
      this.end(failure instanceof WireFailure ? failure : wireFailure(failure.message, failure));
      throw failure instanceof WireFailure ? unsent(failure) : failure;
    }
    if (this.#failure !== null) throw unsent(this.#failure);
    this.#takeSocket();
  }

  /** Rejects with `WireFailure`, or with `kafka-too-old`. */
  call<Asked, Answer>(
    api: WireApi<Asked, Answer>,
    asked: Asked,
    { timeoutMs, versionMax = Infinity }: LinkCall,
  ): Promise<Answer> {
    const newest = Math.min(api.versionMax, versionMax);
    const version = chooseVersion({
      api: { ...api, versionMax: newest },
      broker: this.broker,
      versions: this.#versions,
    });
    const correlation = this.#correlation;
    this.#correlation = (correlation + 1) & 0x7fffffff;
    const writer = new RequestWriter();
    writer.int16(api.key).int16(version).int32(correlation).shortText(this.#options.clientId);
    writer.noTags();
    api.write(writer, asked, version);
    const read = (frame: Buffer): Answer => {
      const reader = new AnswerReader(frame, correlationBytes);
      reader.skipTags();
      return api.read(reader, asked, version);
    };
    return this.#exchange(writer, { name: api.name, correlation, timeoutMs, read });
  }

  /** Fails what is under way. */
  end(failure: WireFailure): void {
    if (this.#failure !== null) return;
    this.#failure = failure;
    this.#dial.abandon();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(failure);
    if (!this.#retired) this.#hooks.leave();
    this.#hooks.ended();
  }

  #exchange<Answer>(
    writer: RequestWriter,
    request: {
      readonly name: string;
      readonly correlation: number;
      readonly timeoutMs: number;
      readonly read: (frame: Buffer) => Answer;
    },
  ): Promise<Answer> {
    const { name, correlation, timeoutMs, read } = request;
    const socket = this.#socket;
    if (this.#failure !== null || socket === null) {
      const failure = this.#failure ?? wireFailure('there is no connection', null);
      return Promise.reject(unsent(failure));
    }
    return new Promise((resolve, reject) => {
      const late = `the broker at ${this.broker} did not answer ${name} within ${timeoutMs} ms`;
      const timer = setTimeout(() => this.end(new WireFailure(late, { unclear: true })), timeoutMs);
      this.#waiting.set(correlation, {
        answer: (frame) => {
          clearTimeout(timer);
          try {
            resolve(read(frame));
          } catch (error) {
            const why = `could not understand the answer to ${name}: ${reasonOf(error)}`;
            const failure = wireFailure(`${this.broker}: ${why}`, error);
            reject(failure);
            this.end(failure);
          }
        },
        fail: (failure) => {
          clearTimeout(timer);
          reject(failure);
        },
      });
      socket.cork();
      for (const part of writer.finish()) socket.write(part);
      socket.uncork();
    });
  }

  #takeSocket(): void {
    const socket = this.#dial.socket!;
    const { reusesChunks } = this.#dial;
    const options = { buffers: this.#buffers, reusesChunks };
    const frames = new FrameReader((frame) => this.#onFrame(frame), options);
    this.#dial.receive((chunk) => {
      try {
        frames.push(chunk);
      } catch (error) {
        this.end(wireFailure(`${this.broker}: ${reasonOf(error)}`, error));
      }
    });
    let cause: Error | null = null;
    socket.on('error', (error) => (cause = error));
    socket.on('close', () => {
      const why = cause === null ? 'was closed' : `broke: ${reasonOf(cause)}`;
      this.end(wireFailure(`the connection to ${this.broker} ${why}`, cause));
    });
    this.#socket = socket;
    if (socket.destroyed) {
      this.end(wireFailure(`the connection to ${this.broker} was closed`, null));
    }
  }

  #onFrame(frame: Buffer): void {
    const correlation = frame.readInt32BE(0);
    const waiting = this.#waiting.get(correlation);
    if (waiting === undefined) {
      if (this.#failure === null) throw new Error(`an answer to no request, ${correlation}`);
      return;
    }
    this.#hasAnswered = true;
    this.#waiting.delete(correlation);
    waiting.answer(frame);
    if (this.#retired && this.#waiting.size === 0) this.end(this.#worn());
  }

  #retire(): void {
    if (this.#retired || this.#failure !== null) return;
    this.#retired = true;
    this.#hooks.leave();
    if (this.#waiting.size === 0) this.end(this.#worn());
  }

  #worn(): WireFailure {
    const message = `the login at ${this.broker} is about to expire`;
    return new WireFailure(message, { unclear: false });
  }
}

/** The same, for a request that did not go out. */
function unsent(failure: WireFailure): WireFailure {
  return new WireFailure(failure.message, { unclear: false, cause: failure });
}

/** Of requests that went out. */
function wireFailure(message: string, cause: unknown): WireFailure {
  return new WireFailure(message, { unclear: true, cause });
}
