// Other users of a region in processes of their own, as tests see them: test/fixtures/regions/role.ts.
import { type Program, startFixture } from '../fixture.ts';
import { waitUntil } from '../wait-until.ts';

export interface RegionUser extends Program {
  /** The next line that it has said and nobody has asked for. */
  says(): Promise<unknown>;
  readonly pid: number;
}

export function regionUser(role: string, directory: string, ...args: (string | number)[]): RegionUser {
  const program = startFixture('regions/role.ts', [role, directory, ...args.map(String)]);
  let said = '';
  let errors = '';
  program.child.stdout!.on('data', (text: string) => {
    said += text;
  });
  program.child.stderr!.on('data', (text: string) => {
    errors += text;
  });
  return {
    ...program,
    pid: program.child.pid!,
    says: () =>
      waitUntil(`${role} says something ${errors}`, () => {
        const end = said.indexOf('\n');
        if (end < 0) {
          if (program.child.exitCode) throw new Error(`${role}: ${errors}`);
          return undefined;
        }
        const line = said.slice(0, end);
        said = said.slice(end + 1);
        return { line: JSON.parse(line) as unknown };
      }).then(({ line }) => line),
  };
}
