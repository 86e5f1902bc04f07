// Why a connection could not be made, in words for the user, and whether trying again may help.

import { StreamError } from '../../../base/stream-error.ts';
import { WireFailure } from '../../../ports/kafka-wire.ts';

/** A `StreamError` where only the user can help: a wrong password, TLS that is missing. */
export function connectFailure(error: unknown, broker: string): WireFailure | StreamError {
  if (error instanceof WireFailure || error instanceof StreamError) return error;
  const chain = causes(error);
  const codes = chain.map(codeOf);
  const said = reasonOf(error);
  const login = codes.indexOf('PLT_KFK_AUTHENTICATION');
  const lost = codes.slice(login + 1).some((code) => lostCodes.has(code));
  if (login >= 0 && !lost) {
    return new StreamError({
      code: 'kafka-login',
      message: `could not log in to the Kafka broker at ${broker}: ${said}`,
      hint: 'correct `sasl`: its mechanism, username, password or token',
      fields: { broker },
      cause: error,
    });
  }
  if (chain.some((each) => each.message === 'Broker requires TLS.')) {
    return new StreamError({
      code: 'kafka-tls',
      message: `could not talk to the Kafka broker at ${broker}: it speaks only TLS there`,
      hint: 'set `tls`, or give the address of a listener without it',
      fields: { broker },
      cause: error,
    });
  }
  const message = `could not connect to ${broker}: ${said}`;
  return new WireFailure(message, { unclear: false, cause: error });
}

const lostCodes = new Set(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT']);

/** The innermost cause, which says most. */
export function reasonOf(error: unknown): string {
  const last = causes(error).at(-1);
  if (last === undefined) return String(error);
  if (last instanceof AggregateError && last.errors.length > 0) {
    const reasons = last.errors.map((each) =>
      each instanceof Error ? each.message : String(each),
    );
    return [...new Set(reasons)].join(', ');
  }
  return last.message || codeOf(last) || last.name;
}

function causes(error: unknown): readonly Error[] {
  const chain: Error[] = [];
  for (let each = error; each instanceof Error && chain.length < 10; each = each.cause) {
    chain.push(each);
  }
  return chain;
}

function codeOf(error: Error): string {
  return String((error as NodeJS.ErrnoException).code ?? '');
}
