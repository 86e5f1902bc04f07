// What a worker has sent to the client's sinks and not heard of yet.

import { errorFromData } from '../../base/stream-error.ts';
import type { StreamErrorData } from '../../base/stream-error.ts';

export class CommitsUnderWay<Message> {
  readonly #commits = new Map<
    number,
    { readonly message: Message; readonly visible: PromiseWithResolvers<void> }
  >();
  #count = 0;

  /** `write` gets the commit's number. */
  begin(write: (commit: number) => Message): {
    readonly message: Message;
    readonly visible: Promise<void>;
  } {
    const commit = this.#count++;
    const visible = Promise.withResolvers<void>();
    const message = write(commit);
    this.#commits.set(commit, { message, visible });
    return { message, visible: visible.promise };
  }

  /** Those not answered yet, in order. */
  underWay(): readonly Message[] {
    return Array.from(this.#commits.values(), ({ message }) => message);
  }

  /** What is not under way is ignored: it was answered twice. */
  settle(commit: number, error: StreamErrorData | null): void {
    const visible = this.#commits.get(commit)?.visible;
    this.#commits.delete(commit);
    if (error === null) visible?.resolve();
    else visible?.reject(errorFromData(error));
  }
}
