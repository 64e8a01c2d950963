// The inspector page: one model, one connection, one tree of components.
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/theme.css';
import './style/page.css';
import './style/tree.css';
import './style/chart.css';
import './style/detail.css';
import './style/timeline.css';
import './style/transport.css';
import { Connection } from './feed/connection.ts';
import { Model } from './feed/model.ts';
import { Topics } from './frame/topics.ts';
import { listenToKeys } from './keyboard.ts';
import { Page } from './page.tsx';
import { PageState } from './page-state.ts';
import { applyTheme, storedTheme } from './theme.ts';

applyTheme(storedTheme());
const model = new Model(new Topics((flush) => requestAnimationFrame(flush)));
const url = new URL('feed', location.href);
url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
url.search = location.search;
url.hash = '';
const connection = new Connection(model, url.href);
const page = new PageState(model, connection);
listenToKeys(page);
render(<Page page={page} />, document.getElementById('page')!);
connection.open();
