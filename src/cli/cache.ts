// `cache`: looks into a cache of a running tree, and changes it.
import { Command } from 'commander';
import { openTreeCache } from '../runtime/tree-cache.ts';
import type { Cache, CacheEvent } from '../spec/cache.ts';
import { exitCode } from './exit-code.ts';
import { durationMs, type TreeOptions, withTree, workspaceOf } from './tree-options.ts';

export function cacheCommand(): Command {
  const verb = (name: string, description: string) =>
    withTree(new Command(name))
      .description(description)
      .argument('<cache>', 'its name')
      .exitOverride()
      .showHelpAfterError(`(see "actor-ipc cache ${name} --help")`);
  return new Command('cache')
    .description('read, change and watch a cache of the running tree')
    .addCommand(
      verb('get', 'print a value: a text or bytes as they are, all else as JSON; code 1 if it is not there')
        .argument('<key>')
        .action((name: string, key: string, options: TreeOptions) =>
          using(options, name, async (cache) => {
            const record = cache.entry(key);
            if (!record) return missing();
            process.stdout.write(options.json ? `${JSON.stringify(record)}\n` : printed(record.value));
          }),
        ),
    )
    .addCommand(
      verb('set', 'set a text')
        .argument('<key>')
        .argument('<value>')
        .option('--ttl <duration>', 'how long it lives: 500ms, 10s, 5m', durationMs)
        .action((name: string, key: string, value: string, options: TreeOptions & { ttl?: number }) =>
          using(options, name, async (cache) => {
            await cache.set(key, value, options.ttl === undefined ? {} : { ttlMs: options.ttl });
          }),
        ),
    )
    .addCommand(
      verb('delete', 'delete a key; code 1 if it was not there')
        .argument('<key>')
        .action((name: string, key: string, options: TreeOptions) =>
          using(options, name, async (cache) => {
            if (!(await cache.delete(key))) missing();
          }),
        ),
    )
    .addCommand(
      verb('keys', 'print all keys, one a line')
        .argument('[prefix]')
        .action((name: string, prefix: string | undefined, options: TreeOptions) =>
          using(options, name, async (cache) => {
            const keys = [...cache.keys(prefix)];
            process.stdout.write(
              options.json ? `${JSON.stringify(keys)}\n` : keys.map((key) => `${key}\n`).join(''),
            );
          }),
        ),
    )
    .addCommand(
      verb('stat', 'print how full it is, and how it is used').action((name: string, options: TreeOptions) =>
        using(options, name, async (cache) => {
          const stats = await cache.stats();
          const lines = Object.entries(stats).map(([key, value]) => `${key.padEnd(18)}${value}\n`);
          process.stdout.write(options.json ? `${JSON.stringify(stats)}\n` : lines.join(''));
        }),
      ),
    )
    .addCommand(
      verb('watch', 'print what happens to keys, until Ctrl-C')
        .argument('[prefix]')
        .action((name: string, prefix: string | undefined, options: TreeOptions) =>
          using(options, name, (cache) => watch(cache, prefix ?? '', options.json ?? false)),
        ),
    );
}

async function using(
  options: TreeOptions,
  name: string,
  use: (cache: Cache) => Promise<void>,
): Promise<void> {
  const cache = await openTreeCache(workspaceOf(options), name);
  try {
    await use(cache);
  } finally {
    await cache.close();
  }
}

function watch(cache: Cache, prefix: string, json: boolean): Promise<void> {
  return new Promise((resolve) => {
    const print = (event: CacheEvent) => {
      const line = event.type === 'lost' ? `lost ${event.count} changes` : `${event.type} ${event.key}`;
      process.stdout.write(json ? `${JSON.stringify(event)}\n` : `${line}\n`);
    };
    const end = cache.watch(prefix, print);
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        end();
        resolve();
      });
  });
}

function missing(): void {
  process.stderr.write('it is not there\n');
  process.exitCode = exitCode.failed;
}

function printed(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return value;
  return `${typeof value === 'string' ? value : JSON.stringify(value)}\n`;
}
