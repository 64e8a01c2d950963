// The benchmark: `npm run bench -- --help` says what it can do.
import { cpusToPin } from './cpus.ts';
import { type Group, groups } from './groups.ts';
import { machineFacts } from './machine.ts';
import { measure, type Place } from './measure.ts';
import { helpText, type Options, optionsOf } from './options.ts';
import { showProgress } from './progress.ts';
import { type Mode, type RecordedRow, readRecording, writeRecording } from './record.ts';
import { comparison, groupTable, headline, legend, machineLines } from './report.ts';

// What has to be tidied up is, at the exit of this process.
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

try {
  const options = optionsOf(process.argv.slice(2));
  if (options.help) console.log(helpText);
  else process.exitCode = (await bench(options)) ? 0 : 1;
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}

/** @returns whether every group was measured. */
async function bench(options: Options): Promise<boolean> {
  const places = placesHere();
  const whole = options.long || options.only !== undefined;
  const shown = groups.map((group) => ({
    ...group,
    rows: group.rows.filter(({ longOnly = false }) => whole || !longOnly),
  }));
  const work = shown.flatMap((group) =>
    places
      .filter(({ mode }) => mode === 'unpinned' || !group.unpinnedOnly)
      .filter(({ mode }) => options.only?.test(`${group.name} ${mode}`) ?? isMeasured(group, mode))
      .map((place) => ({ group, place })),
  );
  // Not asked for anything, the short form leaves out what tells least.
  function isMeasured({ unpinnedToo = false, unpinnedOnly = false }: Group, mode: Mode): boolean {
    return options.long || unpinnedToo || unpinnedOnly || mode === 'pinned' || places.length === 1;
  }
  if (work.length === 0) throw new Error(`no group and mode match ${options.only?.source}; see --help`);
  const last = options.jsonFile === undefined ? undefined : readRecording(options.jsonFile);
  const machine = machineFacts();
  console.log(`${machineLines(machine)}\n${formLine(options)}\n\n${legend}\n`);

  const rows: RecordedRow[] = [];
  let failures = 0;
  for (const { group, place } of work) {
    try {
      const measured = await measure(group, place, options);
      rows.push(...measured.rows);
      console.log(`${groupTable(measured.rows, group, place.mode, place.title, measured.otherWork)}\n`);
    } catch (error) {
      failures++;
      showProgress('');
      console.log(`${group.title}, ${place.title}: FAILED\n${messageOf(error)}\n`);
    }
  }
  if (last) console.log(`${comparison(rows, last, groups)}\n`);
  // A recording with holes would be compared with as if it were whole.
  if (options.jsonFile !== undefined && failures === 0) writeRecording(options.jsonFile, { machine, rows });
  const mode = places.find((place) => rows.some((row) => row.mode === place.mode))?.mode;
  const best = mode && headline(rows, mode);
  if (best) console.log(best);
  return failures === 0;
}

/** Pinned where that is possible, and as the kernel likes it. */
function placesHere(): Place[] {
  const unpinned: Place = {
    mode: 'unpinned',
    title: 'unpinned',
    placement: { driverCpu: undefined, responderCpu: undefined },
  };
  const cpus = cpusToPin();
  if ('reason' in cpus) {
    console.log(`Nothing is pinned: ${cpus.reason}.`);
    return [unpinned];
  }
  const [driverCpu, responderCpu] = cpus;
  const title = `pinned to CPUs ${driverCpu} and ${responderCpu}`;
  return [{ mode: 'pinned', title, placement: { driverCpu, responderCpu } }, unpinned];
}

function formLine({ runs, warmUpMs, measureMs }: Options): string {
  const middle = runs > 1 ? `medians of ${runs} runs` : '1 run';
  return `${middle}, each with fresh processes; a warm-up of ${warmUpMs} ms, then ${measureMs} ms per measure`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
