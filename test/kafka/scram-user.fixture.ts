// Gives a user a password for SCRAM, as an administrator does; brokers take it over at once.

import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { alterUserScramCredentialsV0, Connection } from '@platformatic/kafka';

const iterations = 4096;

export async function setScramPassword(
  bootstrap: string,
  user: { readonly name: string; readonly password: string },
): Promise<void> {
  const { name, password } = user;
  const salt = randomBytes(16);
  const kinds = [
    { mechanism: 1, digest: 'sha256', bytes: 32 },
    { mechanism: 2, digest: 'sha512', bytes: 64 },
  ];
  const upsertions = kinds.map(({ mechanism, digest, bytes }) => {
    const saltedPassword = pbkdf2Sync(password, salt, iterations, bytes, digest);
    return { name, mechanism, iterations, salt, saltedPassword };
  });
  const connection = new Connection('test');
  const [host, port] = bootstrap.split(':');
  await connection.connect(host!, Number(port));
  try {
    // One at a time: a request may name a user once.
    for (const each of upsertions) {
      await alterUserScramCredentialsV0.api.async(connection, [], [each]);
    }
  } finally {
    await connection.close();
  }
}
