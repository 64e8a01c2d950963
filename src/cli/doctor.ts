// `doctor`: what this machine offers, and the engine of its nodes, and what to change.
import { Command } from 'commander';
import { examine } from '../runtime/doctor.ts';
import { examineEngine } from '../runtime/engine-doctor.ts';
import type { Finding } from '../runtime/finding.ts';
import { readNatsFile } from '../spec/relay-nats-file.ts';
import { paint } from './color.ts';
import { exitCode } from './exit-code.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at this machine and say what to change')
    .option('--nats <file>', 'and at the engine, as a node would that has these options (relay.json)')
    .option('--json', 'print it as JSON')
    .action(async ({ nats, json = false }: { nats?: string; json?: boolean }) => {
      const findings = [
        ...examine(process.env),
        ...(nats === undefined ? [] : await examineEngine(readNatsFile(nats))),
      ];
      const width = Math.max(14, ...findings.map(({ name }) => name.length));
      process.stdout.write(
        json
          ? `${JSON.stringify(findings, null, 2)}\n`
          : findings.map((finding) => lineOf(finding, width)).join(''),
      );
      if (findings.some(({ verdict }) => verdict === 'wrong')) process.exitCode = exitCode.usage;
    });
}

const marks = { good: paint.green('ok   '), poor: paint.yellow('poor '), wrong: paint.red('wrong') };

function lineOf({ name, verdict, found, advice }: Finding, width: number): string {
  const line = `${marks[verdict]} ${name.padEnd(width)} ${found}\n`;
  return advice === null ? line : `${line}${' '.repeat(width + 7)}${advice}\n`;
}
