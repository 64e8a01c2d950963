// How the inspector page is built: one page, one style sheet, one script, and ELK's worker as ELK ships it. Nothing is
// inlined, since the server's content security policy allows files of its own only.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: fileURLToPath(new URL('../dist/inspector-page', import.meta.url)),
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
    // The worker is 1.6 MB as its authors ship it, and is loaded when the first chart is drawn.
    chunkSizeWarningLimit: 2_000,
    reportCompressedSize: false,
  },
});
