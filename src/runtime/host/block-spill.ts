// Moves blocks between memory and a worker's spill disk, in the bytes in which they travel.

import { tmpdir } from 'node:os';
import { assert } from '../../base/assert.ts';
import { ByteReader } from '../../control/protocol/byte-reader.ts';
import { ByteWriter } from '../../control/protocol/byte-writer.ts';
import type { Handle } from '../../control/protocol/messages.ts';
import type { SpillPlace } from '../storage/spill-files.ts';
import { SpillFiles } from '../storage/spill-files.ts';
import { outputCodec } from './output-codec.ts';

export class BlockSpill {
  readonly #files: SpillFiles;

  /** `folder` null: the system's for temporary files. */
  constructor(folder: string | null) {
    this.#files = new SpillFiles(folder ?? tmpdir());
  }

  /** Resolves with handles for `read`. */
  store(
    blocks: readonly { readonly batch: number; readonly output: Handle }[],
  ): Promise<readonly SpillPlace[]> {
    return this.#files.append(
      blocks.map(({ batch, output }) => {
        const writer = new ByteWriter((byteLength) => new Uint8Array(byteLength));
        outputCodec.write(writer, output);
        return { batch, pieces: writer.finish() };
      }),
    );
  }

  read(stored: readonly Handle[]): Promise<readonly Handle[]> {
    return Promise.all(stored.map((place) => this.#read(place as SpillPlace)));
  }

  dropThrough(batch: number): void {
    this.#files.drop(batch);
  }

  close(): void {
    this.#files.close();
  }

  async #read(place: SpillPlace): Promise<Handle> {
    const reader = new ByteReader(await this.#files.read(place));
    const decoded = reader.finish(outputCodec.read(reader));
    assert(decoded.ok, 'a block whose checksum is right can be read');
    return decoded.value;
  }
}
