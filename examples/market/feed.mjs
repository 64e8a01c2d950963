// The feed: a program of somebody else, which knows nothing of this project. It logs in for a moment, then listens, and tells who connects
// what each trade was, one JSON line each. SIGUSR1: it goes on, but takes nobody for five seconds, as such programs do at night.
import { createServer } from 'node:net';

const logInMs = 500;
const pauseMs = 5_000;
const periodMs = 100;
const port = Number(process.argv[2]);
const clients = new Set();

const server = createServer((socket) => {
  clients.add(socket);
  socket.on('error', () => {}).on('close', () => clients.delete(socket));
});
const listen = () => server.listen(port, '127.0.0.1', () => console.log(`listens at port ${port}`));

let price = 100;
setInterval(() => {
  // Back to a hundred in the long run, and about in the short one.
  price += (100 - price) / 50 + (Math.random() - 0.5);
  const line = `${JSON.stringify({ symbol: 'ACME', price: Math.round(price * 100) / 100 })}\n`;
  for (const client of clients) client.write(line);
}, periodMs);

process.on('SIGUSR1', () => {
  console.log('takes nobody for a while');
  server.close();
  for (const client of clients) client.destroy();
  setTimeout(listen, pauseMs);
});
console.log('logs in');
setTimeout(listen, logInMs);
