// Why a connection could not be made, in words for the user, and whether trying again may help.

import { StreamError } from '../../../base/stream-error.ts';
import type { KafkaConnection } from '../../../ports/kafka-wire.ts';
import { WireFailure } from '../../../ports/kafka-wire.ts';
import { demandedLogins, spokenAt } from './broker-probe.ts';
import { requiresTls } from './dial.ts';
import type { LinkAddress } from './dial.ts';

export type Tried = { readonly options: KafkaConnection; readonly address: LinkAddress };

/**
 * A `StreamError` where only the user can help: a wrong password, a certificate that is not to be
 * trusted, TLS on one side only. Where the error does not tell, the broker is asked.
 */
export async function connectFailure(
  error: unknown,
  tried: Tried,
): Promise<WireFailure | StreamError> {
  if (error instanceof WireFailure || error instanceof StreamError) return error;
  const chain = causes(error);
  const codes = chain.map(codeOf);
  const said = reasonOf(error);
  const broker = nameOf(tried.address);
  const own = codes.find((code) => code.startsWith('ERR_OSSL_'));
  if (own !== undefined) return unusable(said, { broker, cause: error });
  if (codes.includes('ERR_SSL_WRONG_VERSION_NUMBER')) return onlyPlain(broker, error);
  const tls = tlsProblem(codes, said);
  if (tls !== null) return tlsError({ ...tls, broker, cause: error });
  if (chain.some(({ message }) => message === requiresTls)) return onlyTls(broker, error);
  const login = codes.indexOf('PLT_KFK_AUTHENTICATION');
  const isLost = codes.slice(login + 1).some((code) => lostCodes.has(code));
  if (login >= 0 && !isLost) {
    const mechanismRefused = chain[login]!.message === noMechanism;
    return loginError(mechanismRefused ? await offered(tried, said) : said, broker, error);
  }
  // A handshake that is cut off looks the same whether the broker goes down or speaks another way.
  const isSilent = codes.some((code) => silentCodes.has(code));
  const spoken = isSilent ? null : await spokenAt(tried.options, tried.address);
  const { tls: uses } = tried.options;
  if (uses !== false && spoken === 'plain text') return onlyPlain(broker, error);
  if (uses === false && spoken === 'tls') return onlyTls(broker, error);
  const message = `could not connect to ${broker}: ${said}`;
  return new WireFailure(message, { unclear: false, cause: error });
}

/** A broker hangs up at the first request where it demands a login; null: it does not. */
export async function loginMissing({ options, address }: Tried): Promise<StreamError | null> {
  const logins = await demandedLogins(options, address);
  if (logins === null) return null;
  return new StreamError({
    code: 'kafka-login',
    message: `could not talk to the Kafka broker at ${nameOf(address)}: it demands a login`,
    hint: `set \`sasl\`, with one of its mechanisms: ${logins.join(', ')}`,
    fields: { broker: nameOf(address) },
  });
}

const lostCodes = new Set(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT']);
/** Nobody is there who could be asked. */
const silentCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'PLT_KFK_TIMEOUT']);
/** Of the package. */
const noMechanism = 'Cannot find a suitable SASL mechanism.';

/** A mechanism that the broker does not have. */
async function offered({ options, address }: Tried, said: string): Promise<string> {
  const logins = await demandedLogins(options, address);
  const asked = options.sasl!.mechanism;
  if (logins !== null) return `it has no ${asked}, only ${logins.join(', ')}`;
  return `it takes no login there (${said})`;
}

function loginError(said: string, broker: string, cause: unknown): StreamError {
  return new StreamError({
    code: 'kafka-login',
    message: `could not log in to the Kafka broker at ${broker}: ${said}`,
    hint: 'correct `sasl`: its mechanism, username, password or token',
    fields: { broker },
    cause,
  });
}

function onlyTls(broker: string, cause: unknown): StreamError {
  const said = 'it speaks only TLS there';
  const hint = 'set `tls`, or give the address of a listener without it';
  return tlsError({ said, hint, broker, cause });
}

function onlyPlain(broker: string, cause: unknown): StreamError {
  const said = 'it speaks no TLS there';
  const hint = 'leave out `tls`, or give the address of a listener that has it';
  return tlsError({ said, hint, broker, cause });
}

type Problem = { readonly said: string; readonly hint: string };

function tlsError({
  said,
  hint,
  broker,
  cause,
}: Problem & { readonly broker: string; readonly cause: unknown }): StreamError {
  const message = `could not talk to the Kafka broker at ${broker}: ${said}`;
  return new StreamError({ code: 'kafka-tls', message, hint, fields: { broker }, cause });
}

function unusable(
  said: string,
  { broker, cause }: { readonly broker: string; readonly cause: unknown },
): StreamError {
  return new StreamError({
    code: 'option-invalid',
    message: `could not set up TLS to the Kafka broker at ${broker}: ${said}`,
    hint: '`tls.ca`, `tls.cert` and `tls.key` are PEM, and `key` is the one of `cert`, unencrypted',
    fields: { broker },
    cause,
  });
}

/** Where one side refuses the other for what it is, which stays so. */
function tlsProblem(codes: readonly string[], said: string): Problem | null {
  if (codes.includes('ERR_TLS_CERT_ALTNAME_INVALID')) {
    return {
      said: `its certificate is of another host: ${said}`,
      hint: 'use a name of the certificate in `brokers` and advertised.listeners, or `servername`',
    };
  }
  if (codes.includes('CERT_HAS_EXPIRED') || codes.includes('CERT_NOT_YET_VALID')) {
    const hint = "renew the broker's certificate, or correct this machine's clock";
    return { said: `its certificate is not valid now: ${said}`, hint };
  }
  if (codes.some((code) => distrustCodes.has(code))) {
    const hint = "give the certificate of the authority that signed the broker's as `tls.ca`";
    return { said: `its certificate cannot be trusted: ${said}`, hint };
  }
  const alert = codes.find((code) => /^ERR_SSL_.*ALERT/.test(code));
  if (alert === undefined || alert.includes('INTERNAL_ERROR')) return null;
  const hint = /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED/.test(alert)
    ? 'give a certificate as `tls.cert` and its key as `tls.key` that the broker trusts'
    : 'compare the versions of TLS and the ciphers that both sides permit';
  return { said: `it refused us in the TLS handshake: ${alertOf(said)}`, hint };
}

/** What OpenSSL finds wrong in a chain of certificates. */
const distrustCodes = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** Out of OpenSSL's line of colons, the alert. */
function alertOf(said: string): string {
  return /alert [a-z0-9 ]+/.exec(said)?.[0] ?? said;
}

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

function nameOf({ host, port }: LinkAddress): string {
  return `${host}:${port}`;
}
