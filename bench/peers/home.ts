// Where the broker and the peers are installed, and what is missing there. What is downloaded comes
// by the machine's own `mvn` and `pip`, from wherever they are set up to fetch it.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

export type Part = 'broker' | 'flink' | 'spark';

const kafkaVersion = '4.1.2';
const flinkVersion = '2.3.0';
const flinkKafkaVersion = '5.0.0-2.2';
const sparkVersion = '4.3.0';
/** Maven has no later one; it works on Spark 4.3. */
const sparkKafkaVersion = '4.2.0';

/** Those jars that Spark's own distribution lacks. */
const sparkKafkaJars =
  /^(?:spark-sql-kafka|spark-token-provider-kafka|kafka-clients|commons-pool2)/;

const javaSources = join(import.meta.dirname, 'java');
const run = promisify(execFile);

export class PeersHome {
  readonly folder: string;

  constructor(folder = process.env['MIZZLE_PEERS_HOME'] ?? join(tmpdir(), 'mizzle-peers')) {
    this.folder = folder;
  }

  /** Installs what is not there, and compiles what has changed. */
  async prepare(parts: readonly Part[], tell: (line: string) => void): Promise<void> {
    await requireJava();
    mkdirSync(this.folder, { recursive: true });
    for (const part of parts) await this.#install(part, tell);
    for (const part of parts) await this.#compile(part);
  }

  path(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  /** Of the load's programs. */
  get loadClassPath(): string {
    return [this.path('built', 'load'), this.path('kafka', '*')].join(delimiter);
  }

  get kafkaClassPath(): string {
    return this.path('kafka', '*');
  }

  get flinkClassPath(): string {
    return [this.path('flink', 'lib', '*'), this.path('flink-kafka', '*')].join(delimiter);
  }

  jarOf(part: 'flink' | 'spark'): string {
    return this.path('built', `${part}.jar`);
  }

  get versions(): Readonly<Record<Part, string>> {
    return {
      broker: `Kafka ${kafkaVersion}`,
      flink: `Flink ${flinkVersion}, connector ${flinkKafkaVersion}`,
      spark: `Spark ${sparkVersion}, connector ${sparkKafkaVersion}`,
    };
  }

  async #install(part: Part, tell: (line: string) => void): Promise<void> {
    switch (part) {
      case 'broker':
        await this.#jars('kafka', tell, [
          `org.apache.kafka:kafka_2.13:${kafkaVersion}`,
          'org.slf4j:slf4j-simple:1.7.36',
        ]);
        this.#shareJars();
        return;
      case 'flink':
        await this.#jars('flink-kafka', tell, [
          `org.apache.flink:flink-connector-kafka:${flinkKafkaVersion}`,
        ]);
        await this.#distribution({
          name: 'flink',
          requirement: `apache-flink-libraries==${flinkVersion}`,
          module: 'pyflink',
          tell,
        });
        return;
      case 'spark':
        await this.#jars('spark-kafka-all', tell, [
          `org.apache.spark:spark-sql-kafka-0-10_2.13:${sparkKafkaVersion}`,
        ]);
        this.#chooseSparkJars();
        await this.#distribution({
          name: 'spark',
          requirement: `pyspark==${sparkVersion}`,
          module: 'pyspark',
          tell,
        });
    }
  }

  /** The jars of artefacts and of what they need to run. */
  async #jars(
    name: string,
    tell: (line: string) => void,
    coordinates: readonly string[],
  ): Promise<void> {
    if (existsSync(this.path(name))) return;
    tell(`downloads by mvn into ${this.path(name)}: ${coordinates.join(', ')} and what they need`);
    const dependencies = coordinates.map((coordinate) => {
      const [group, artifact, version] = coordinate.split(':');
      return (
        `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId>` +
        `<version>${version}</version></dependency>`
      );
    });
    mkdirSync(this.path('pom'), { recursive: true });
    writeFileSync(
      this.path('pom', 'pom.xml'),
      '<project><modelVersion>4.0.0</modelVersion><groupId>mizzle</groupId>' +
        '<artifactId>peers</artifactId><version>1</version>' +
        `<dependencies>${dependencies.join('')}</dependencies></project>\n`,
    );
    const part = this.path(`${name}.part`);
    rmSync(part, { recursive: true, force: true });
    const copy = ['dependency:copy-dependencies', '-DincludeScope=runtime'];
    const pom = this.path('pom', 'pom.xml');
    await run('mvn', ['-B', '-q', '-f', pom, ...copy, `-DoutputDirectory=${part}`]);
    renameSync(part, this.path(name));
  }

  /** As `startKafka` wants to find them. */
  #shareJars(): void {
    if (existsSync(this.path('broker', 'jars'))) return;
    mkdirSync(this.path('broker'), { recursive: true });
    symlinkSync(join('..', 'kafka'), this.path('broker', 'jars'));
  }

  #chooseSparkJars(): void {
    if (existsSync(this.path('spark-kafka'))) return;
    const part = this.path('spark-kafka.part');
    for (const jar of globSync('*.jar', { cwd: this.path('spark-kafka-all') })) {
      if (sparkKafkaJars.test(jar)) cpSync(this.path('spark-kafka-all', jar), join(part, jar));
    }
    renameSync(part, this.path('spark-kafka'));
  }

  /** Python packages hold whole distributions for the JVM, the only part of them that is used. */
  async #distribution(of: {
    readonly name: string;
    readonly requirement: string;
    readonly module: string;
    readonly tell: (line: string) => void;
  }): Promise<void> {
    const { name, requirement, module, tell } = of;
    if (existsSync(this.path(name))) return;
    tell(`downloads by pip into ${this.path('venv')}: ${requirement}, some 450 MB`);
    if (!existsSync(this.path('venv'))) await run('python3', ['-m', 'venv', this.path('venv')]);
    const install = ['install', '--quiet', '--no-deps', '--no-cache-dir', requirement];
    await run(this.path('venv', 'bin', 'pip'), install);
    const [site] = globSync('venv/lib/python3*/site-packages', { cwd: this.folder });
    symlinkSync(join(site!, module), this.path(name));
  }

  async #compile(part: Part): Promise<void> {
    const name = part === 'broker' ? 'load' : part;
    const sources = globSync(join(javaSources, name, '*.java')).toSorted();
    const hash = createHash('sha256');
    for (const source of sources) hash.update(readFileSync(source));
    const stamp = this.path('built', `${name}.sha256`);
    const wanted = hash.digest('hex');
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
    const classes = this.path('built', name);
    rmSync(classes, { recursive: true, force: true });
    mkdirSync(classes, { recursive: true });
    const classPath = {
      broker: this.kafkaClassPath,
      flink: this.flinkClassPath,
      spark: this.path('spark', 'jars', '*'),
    }[part];
    await run('javac', ['-nowarn', '-d', classes, '-cp', classPath, ...sources]);
    if (part !== 'broker') await run('jar', ['cf', this.jarOf(part), '-C', classes, '.']);
    writeFileSync(stamp, wanted);
  }
}

async function requireJava(): Promise<void> {
  try {
    const { stderr } = await run('java', ['-version']);
    const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
    if (major >= 17) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  throw new Error('the broker and the peers need Java 17 or newer on the path, with javac and jar');
}
