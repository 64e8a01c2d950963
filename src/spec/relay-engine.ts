// Relay engine: the `nats-server` that a topology keeps running itself, `relay({ mode: 'nats', managed: true, ... })`. It is an ordinary
// unit: what it is told stands in its arguments, so there is no file that could differ from the topology.
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';

export interface EngineCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly port: number;
}

const defaults = { address: '127.0.0.1', port: 4222, store_dir: 'nats', name: 'nats' } as const;
const known = ['mode', 'managed', ...Object.keys(defaults)];

export function isEngineConfig(config: Readonly<Record<string, unknown>>): boolean {
  return config.mode === 'nats';
}

/** @throws {IpcError} ERR_RELAY_CONFIG with one line for each mistake. */
export function engineCommand(config: Readonly<Record<string, unknown>>): EngineCommand {
  const mistakes: string[] = [];
  for (const key of Object.keys(config)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    mistakes.push(
      `${key}: unknown key${near === undefined ? '' : ` (did you mean ${near}?)`}; allowed: ${known.join(', ')}`,
    );
  }
  if (config.managed !== true)
    mistakes.push(
      'managed: must be true; a server that runs elsewhere needs no unit, only connectNats({ servers })',
    );
  const text = (key: 'address' | 'store_dir' | 'name') => {
    const value = config[key] ?? defaults[key];
    // An argument of its own kind is no value.
    if (typeof value === 'string' && value !== '' && !value.startsWith('-')) return value;
    mistakes.push(`${key}: must be a text, not ${JSON.stringify(value)}`);
    return '';
  };
  const port = config.port ?? defaults.port;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    mistakes.push(`port: must be a whole number from 1 to 65535, not ${JSON.stringify(port)}`);
  const args = [
    '-a',
    text('address'),
    '-p',
    String(port),
    '-n',
    text('name'),
    '-js',
    '-sd',
    text('store_dir'),
  ];
  if (mistakes.length > 0) throw IpcError.of('ERR_RELAY_CONFIG', 'relay()', mistakes.join('\n  '));
  return { file: 'nats-server', args, port: port as number };
}
