// Load: logs in at one front end and asks the other who it is, as fast as both answer: `load.ts URL URL [SECONDS] [AT ONCE]`.
import { performance } from 'node:perf_hooks';

const [login, ask, seconds = '5', atOnce = '16'] = process.argv.slice(2);
if (!login || !ask) throw new Error('load.ts URL URL [SECONDS] [AT ONCE]');
const endsAtMs = performance.now() + Number(seconds) * 1_000;
const timesMs = { login: [] as number[], me: [] as number[] };
let unknown = 0;

async function timed<T>(times: number[], call: () => Promise<T>): Promise<T> {
  const sinceMs = performance.now();
  const answer = await call();
  times.push(performance.now() - sinceMs);
  return answer;
}

async function user(name: string): Promise<void> {
  while (performance.now() < endsAtMs) {
    const response = await timed(timesMs.login, () =>
      fetch(`${login}/login?user=${name}`, { method: 'POST' }),
    );
    await response.text();
    const cookie = response.headers.get('set-cookie')!.split(';')[0]!;
    for (let i = 0; i < 10; i++) {
      const me = await timed(timesMs.me, () => fetch(`${ask}/me`, { headers: { cookie } }));
      if ((await me.text()).trim() !== name) unknown++;
    }
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, (_, i) => user(`user${i}`)));
for (const [what, times] of Object.entries(timesMs)) {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(1);
  console.log(
    `${what}: ${Math.round(times.length / Number(seconds))} a second, median ${at(0.5)} ms, 99 % below ${at(0.99)} ms`,
  );
}
console.log(`${unknown} answers did not know who had logged in at the other one`);
