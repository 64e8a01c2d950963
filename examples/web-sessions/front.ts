// One front end. Who has logged in at any of them is known at all of them; log-out ends all sessions of a user everywhere.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connectDownstream, reportState } from 'actor-ipc';
import { sessionCache } from 'actor-ipc/cache';

const [name = 'front'] = process.argv.slice(2);

/** Of one user; the oldest one ends when there are more. */
const sessionsMax = 8;

const downstream = await connectDownstream({ node: name, endpoint: { path: 'relay.sock' }, seed: 9849381 });
const sessions = await sessionCache(
  name,
  { sessionMaxMs: 30 * 60_000, maxStaleMs: 10_000, timeoutMs: 10_000 },
  downstream,
);
// Until it has heard what was ended elsewhere, it knows nobody; without a relay it begins all the same.
await downstream.connected({ timeoutMs: 10_000 }).catch((error: Error) => console.log(error.message));

interface Session {
  readonly user: string;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly cookie?: string;
}

async function answer(request: IncomingMessage): Promise<Answer> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://front');
  const id = /(?:^|; )sid=([\w-]{32})/.exec(request.headers.cookie ?? '')?.[1];
  const user =
    id === undefined ? undefined : ((await sessions.get(`sid-${id}`)) as Session | undefined)?.user;
  switch (`${request.method} ${pathname}`) {
    case 'POST /login': {
      const wanted = searchParams.get('user') ?? '';
      return /^\w{1,32}$/.test(wanted) ? logIn(wanted) : { status: 400, text: 'who?' };
    }
    case 'GET /me':
      return user ? { status: 200, text: user } : { status: 401, text: 'nobody' };
    case 'POST /logout':
      return user ? logOut(user) : { status: 401, text: 'nobody' };
    default:
      return { status: 404, text: 'POST /login?user=NAME, GET /me, POST /logout' };
  }
}

async function logIn(user: string): Promise<Answer> {
  const id = randomBytes(24).toString('base64url');
  const all = [...(await idsOf(user)), id];
  for (const old of all.splice(0, Math.max(0, all.length - sessionsMax))) await sessions.delete(`sid-${old}`);
  await sessions.set(`sid-${id}`, { user }, { confirmed: true });
  await sessions.set(`user-${user}`, all, { confirmed: true });
  return { status: 200, text: `hello ${user}`, cookie: `sid=${id}; HttpOnly; SameSite=Strict` };
}

async function logOut(user: string): Promise<Answer> {
  const missing = new Set<string>();
  for (const id of await idsOf(user))
    for (const node of (await sessions.delete(`sid-${id}`)).missing) missing.add(node);
  await sessions.delete(`user-${user}`);
  return {
    status: 200,
    text: missing.size === 0 ? 'logged out everywhere' : `not heard yet by ${[...missing].join(', ')}`,
  };
}

async function idsOf(user: string): Promise<string[]> {
  return ((await sessions.get(`user-${user}`)) as string[] | undefined) ?? [];
}

const server = createServer((request, response) => {
  answer(request).then(
    ({ status, text, cookie }) =>
      response.writeHead(status, cookie === undefined ? {} : { 'set-cookie': cookie }).end(`${text}\n`),
    (error: Error) => response.writeHead(503).end(`${error.message}\n`),
  );
});
server.listen(Number(process.env.PORT ?? 8080), 'localhost', () => {
  console.log(`${name} at http://localhost:${(server.address() as AddressInfo).port}`);
  reportState('operative');
});
