// Engine doctor: what a node would find at its engine, server by server, in plain lines with what to change.
import { messageOf } from '../errors.ts';
import { clockAdvice, natsClockSkewMaxMs, natsDefaults } from '../spec/relay-nats.ts';
import type { NatsFile } from '../spec/relay-nats-file.ts';
import { NatsProbe, probeServers, type ServerFacts, type TableFacts } from '../transport/nats-probe.ts';
import { type Finding, good, poor, wrong } from './finding.ts';

/** A server that does not answer by then is not there. */
const openTimeoutMs = 5_000;

/** Everything that is looked at, in order. @param wallMs the time of day. */
export async function examineEngine(file: NatsFile, wallMs: () => number = Date.now): Promise<Finding[]> {
  const options = { timeoutMs: openTimeoutMs, ...file, node: 'doctor' };
  const servers = await probeServers(options);
  const findings = [...servers.map(serverFinding), replicasFinding(servers, file)];
  if (servers.every(({ name }) => name === undefined)) return findings;
  try {
    await using probe = await NatsProbe.open(options);
    const missing = await probe.missingPermissions();
    findings.push(permissionsFinding(missing, file.role ?? 'front'));
    const tables = await probe.tables();
    findings.push(...tables.map(tableFinding));
    if (tables[0]?.isThere) findings.push(clockFinding(await probe.clockSkewMs(wallMs)));
  } catch (error) {
    findings.push(wrong('engine', messageOf(error), 'mend what is named here and above, and look again'));
  }
  return findings;
}

function serverFinding({ url, name, version, answerMs, why }: ServerFacts): Finding {
  const title = `server ${url.replace(/^\w+:\/\//, '')}`;
  if (why === undefined) return good(title, `${name}, nats-server ${version}, answers in ${answerMs} ms`);
  const [found = '', ...advice] = why.split('; ');
  return wrong(
    title,
    name === undefined ? found : `${name}: ${found}`,
    advice.join('; ') || 'look at the log of that server',
  );
}

/** Against the servers that are there, by what they themselves say of each other. */
function replicasFinding(
  servers: readonly ServerFacts[],
  { replicas = natsDefaults.replicas }: NatsFile,
): Finding {
  const title = 'replicas';
  const sound = servers.filter(({ name, why }) => name !== undefined && why === undefined);
  const clusters = new Set(sound.map(({ cluster }) => cluster));
  if (clusters.size > 1)
    return wrong(
      title,
      `the servers are of ${[...clusters].map((name) => name ?? 'none').join(' and ')}`,
      'name servers of one cluster, with routes to each other',
    );
  const there = Math.max(sound.length, new Set(sound.flatMap(({ others }) => others)).size);
  const found = `${replicas}, of ${there} servers with JetStream that answer`;
  if (sound.length > 1 && clusters.has(undefined))
    return wrong(title, found, 'the servers know nothing of each other; give them a cluster with routes');
  if (there < Math.ceil((replicas + 1) / 2))
    return wrong(title, found, 'start the servers that are missing: a majority must be there');
  if (there < replicas)
    return poor(title, found, 'start the servers that are missing: with these, none may die');
  if (replicas === 1 && there > 1)
    return poor(title, found, 'set "replicas" to 3: so all tables stand on one of them');
  return good(title, found);
}

function permissionsFinding(missing: readonly string[], role: string): Finding {
  if (missing.length === 0) return good('permissions', `all that a ${role} needs`);
  return wrong(
    'permissions',
    `a ${role} may not ${missing.join(', ')}`,
    "add them to the user's permissions in the configuration of all servers (docs/relay.md), and reload them",
  );
}

function tableFinding({ stream, isThere, differences, behind }: TableFacts): Finding {
  const title = `bucket ${stream.replace(/^KV_/, '')}`;
  if (!isThere) return good(title, 'not there yet: the first relay makes it');
  if (differences.length > 0)
    return wrong(
      title,
      differences.join('; '),
      'give all nodes the same "replicas", or remove the bucket so that it is made anew',
    );
  if (behind.length > 0)
    return poor(title, `${behind.join(', ')} has not all of it`, 'start that server, and give it a moment');
  return good(title, 'as it must be');
}

function clockFinding(skewMs: number): Finding {
  if (Math.abs(skewMs) <= natsClockSkewMaxMs)
    return good(
      'clock',
      skewMs === 0 ? "as the engine's" : `${Math.round(Math.abs(skewMs))} ms from the engine's`,
    );
  const [found = '', advice = ''] = clockAdvice(skewMs).split('; ');
  return wrong('clock', found, advice);
}
