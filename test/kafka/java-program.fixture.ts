// Programs of one file over Kafka's own client, which a Java with a compiler runs as they are.

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export function compilesJava(): boolean {
  const { stdout } = spawnSync('java', ['--list-modules'], { encoding: 'utf8' });
  return stdout.includes('jdk.compiler');
}

/** What `java` has to be told to run a file of this folder. The jars are there once Kafka is. */
export function javaArguments(file: string, args: readonly string[]): readonly string[] {
  const homes = process.env['MIZZLE_KAFKA_HOME'] ?? join(tmpdir(), 'mizzle-kafka-jars-*');
  const [jar] = globSync(join(homes, 'jars', 'kafka-clients-*.jar'));
  const flags = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=error', '-XX:TieredStopAtLevel=1'];
  const classes = ['-cp', join(dirname(jar!), '*')];
  return [...flags, ...classes, join(import.meta.dirname, file), ...args];
}
