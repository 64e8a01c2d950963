// `doctor`: what this machine offers, and what to change.
import { Command } from 'commander';
import { examine, type Finding } from '../runtime/doctor.ts';
import { paint } from './color.ts';
import { exitCode } from './exit-code.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look at this machine and say what to change')
    .option('--json', 'print it as JSON')
    .action(({ json = false }: { json?: boolean }) => {
      const findings = examine(process.env);
      process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : findings.map(lineOf).join(''));
      if (findings.some(({ verdict }) => verdict === 'wrong')) process.exitCode = exitCode.usage;
    });
}

const marks = { good: paint.green('ok   '), poor: paint.yellow('poor '), wrong: paint.red('wrong') };

function lineOf({ name, verdict, found, advice }: Finding): string {
  const line = `${marks[verdict]} ${name.padEnd(14)} ${found}\n`;
  return advice === null ? line : `${line}${' '.repeat(21)}${advice}\n`;
}
