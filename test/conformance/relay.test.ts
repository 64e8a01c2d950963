import { join } from 'node:path';
import { type RelayBench, relayConformance } from '../../src/runtime/relay-conformance.ts';
import type { LinkTls, RelayEndpoint } from '../../src/spec/relay-link.ts';
import { Authority } from '../support/relay/certificates.ts';
import { Nodes } from '../support/relay/nodes.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const conforms = (name: string, open: () => Promise<RelayBench>) =>
  relayConformance(name, open, { describe, it, beforeEach, afterEach });

async function linked(
  listen: RelayEndpoint & { tls?: LinkTls },
  tlsOf: (node: string) => LinkTls | undefined = () => undefined,
): Promise<RelayBench> {
  const nodes = new Nodes();
  const relay = await nodes.serve({ listen: [listen] });
  const endpoint = 'path' in listen ? listen : { host: listen.host, port: relay.ports[0]! };
  return {
    node: (node) => nodes.connected({ node, endpoint, tls: tlsOf(node) }),
    close: () => nodes.close(),
  };
}

conforms('local', async () => {
  const nodes = new Nodes();
  const relay = await nodes.serve();
  return {
    node: async (name) => {
      const member = relay.member(name, 'front');
      await waitUntil('it is there', () => member.status === 'connected');
      return member;
    },
    close: () => nodes.close(),
  };
});

conforms('link over TCP', () => linked({ host: '127.0.0.1', port: 0 }));

describe('with files', () => {
  const folder = folderOfEachTest();

  conforms('link over a Unix socket', () => linked({ path: join(folder(), 'relay.sock') }));

  conforms('link over TLS, both sides with certificates', () => {
    const authority = new Authority(folder());
    return linked({ host: 'localhost', port: 0, tls: authority.issue('relay') }, (node) =>
      authority.issue(node),
    );
  });
});
