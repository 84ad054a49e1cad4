// A call of the page in a real browser, by the page's own buttons.
//
//   node call.mjs --url http://127.0.0.1:8080 [--browser chromium|firefox] [--offer page|native]
//                 [--dtls auto|1.2|1.3] [--room NAME] [--tone 440] [--peer native|page] [--screenshot FILE]
//
// The last line of the output is the verdict as JSON; the exit code is 0 when everything held. `--peer page`
// puts a second browser with the page and synthetic devices on the other side instead of the native peer.

import { parseArgs } from 'node:util';
import { launch } from './browsers.mjs';
import {
  connectionStats,
  installSyntheticDevices,
  loudestTone,
  photoState,
  readCounter,
} from './in-page.mjs';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    browser: { type: 'string', default: 'chromium' },
    offer: { type: 'string', default: 'page' },
    dtls: { type: 'string', default: 'auto' },
    room: { type: 'string', default: 'check' },
    tone: { type: 'string', default: '440' },
    peer: { type: 'string', default: 'native' },
    screenshot: { type: 'string' },
  },
});

const CONNECT_LIMIT = 30_000;
const MEDIA_LIMIT = 20_000;
const ECHO_LIMIT = 120_000;
/** How far from its frequency the tone may be measured, in Hz. */
const TONE_TOLERANCE = 5;
/** Quieter than this, in dB, is no tone. */
const TONE_FLOOR = -60;

const verdict = { browser: options.browser, offer: options.offer, dtls: options.dtls, peer: options.peer, ok: false };
const started = performance.now();

function say(words) {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${words}`);
}

function hold(condition, words) {
  if (!condition) {
    throw new Error(words);
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Repeats `attempt` until `good` likes what it returns; at the limit, fails with the last of it. */
async function until(words, limit, attempt, good) {
  const end = performance.now() + limit;
  for (;;) {
    const value = await attempt();
    if (good(value)) {
      return value;
    }
    if (performance.now() > end) {
      throw new Error(`${words}: not within ${limit / 1000} s; last seen ${JSON.stringify(value)}`);
    }
    await pause(50);
  }
}

async function open(browser, search, prepare = async () => {}) {
  const page = await browser.newPage();
  await prepare(page);
  page.on('console', (message) => say(`console: ${message.text()}`));
  page.on('pageerror', (error) => say(`page error: ${error.message}`));
  await page.goto(`${options.url}/?${new URLSearchParams(search)}`);
  return page;
}

const text = (page, selector) => page.$eval(selector, (element) => element.textContent);

/** Waits for a state of the page, and fails at once when the page shows an error instead. */
async function reaches(page, state, limit) {
  const seen = () =>
    page.evaluate(() => ({
      state: document.body.dataset.state,
      words: document.getElementById('state').textContent,
      error: document.getElementById('error').textContent,
    }));
  return until(`the page reaches "${state}"`, limit, seen, (now) => {
    hold(now.error === '', `the page says: ${now.error}`);
    return now.state === state;
  });
}

async function openCamera(page) {
  await page.click('#open-camera');
  await page.waitForFunction(() => document.getElementById('local').videoWidth > 0, { timeout: MEDIA_LIMIT });
  say(`camera open, ${await text(page, '#local-size')}`);
}

async function callAndConnect(page) {
  const start = performance.now();
  await page.click('#call');
  await reaches(page, 'connected', CONNECT_LIMIT);
  const milliseconds = Math.round(performance.now() - start);
  say(`connected after ${milliseconds} ms`);
  return milliseconds;
}

/** The test card's counter, read from the decoded picture, goes up. */
async function checkVideo(page) {
  const read = () => page.evaluate(readCounter, 'remote');
  const first = await until('the test card is readable', MEDIA_LIMIT, read, (counter) => counter !== null);
  let last = first;
  let readings = 1;
  await until('the frame counter advances by 30', MEDIA_LIMIT, read, (counter) => {
    if (counter !== null) {
      hold(counter >= last, `the frame counter went back from ${last} to ${counter}`);
      readings += counter > last ? 1 : 0;
      last = counter;
    }
    return last >= first + 30 && readings >= 10;
  });
  say(`video: test card from frame ${first} to ${last}, ${readings} readings`);
  return { first, last, readings };
}

async function checkAudio(page) {
  const tone = Number(options.tone);
  const heard = await until(`a tone of ${tone} Hz`, MEDIA_LIMIT, () => page.evaluate(loudestTone), (now) => {
    return Math.abs(now.frequency - tone) <= TONE_TOLERANCE && now.level > TONE_FLOOR;
  });
  say(`audio: ${heard.frequency.toFixed(1)} Hz at ${heard.level.toFixed(0)} dB`);
  return heard;
}

async function checkStats(page) {
  const stats = await page.evaluate(connectionStats);
  hold(stats.connectionState === 'connected', `the connection is ${stats.connectionState}`);
  hold(stats.pairSucceeded, 'no candidate pair has succeeded');
  hold(stats.dtlsState === undefined || stats.dtlsState === 'connected', `DTLS is ${stats.dtlsState}`);
  // Not every browser tells the version; the native peer accepts no other than the one it was told.
  const wanted = { '1.2': 'FEFD', '1.3': 'FEFC' }[options.dtls];
  if (wanted && stats.tlsVersion !== undefined) {
    hold(stats.tlsVersion.toUpperCase() === wanted, `the TLS version is ${stats.tlsVersion}, not ${wanted}`);
  }
  hold(stats.audioPacketsReceived > 0, 'no audio packet was received');
  hold(stats.framesSent > 0, 'no video frame was sent');
  say(`getStats: connected, ${stats.audioCodec}, ${stats.videoCodec}, ${stats.framesSent} frames sent`);
  return stats;
}

async function checkText(page, words) {
  await page.waitForFunction(() => !document.getElementById('send').disabled, { timeout: MEDIA_LIMIT });
  await page.type('#message', words);
  await page.click('#send');
  const lastOfThem = () =>
    page.$$eval('#log li[data-from="them"]', (items) => items.at(-1)?.textContent ?? null);
  await until('the text comes back', MEDIA_LIMIT, lastOfThem, (line) => line === words);
  say(`text came back: ${words}`);
}

async function checkEcho(page) {
  await page.click('#echo-test');
  await page.waitForFunction(
    () => ['passed', 'failed'].includes(document.getElementById('echo-result').dataset.verdict),
    { timeout: ECHO_LIMIT },
  );
  const result = await page.$eval('#echo-result', (element) => ({
    verdict: element.dataset.verdict,
    words: element.textContent,
  }));
  hold(result.verdict === 'passed', result.words);
  say(`echo test: ${result.words}`);
  return result.words;
}

async function checkPhoto(page) {
  await page.select('#photo-of', 'remote');
  await page.click('#take-photo');
  const photo = await until('a photo is taken', MEDIA_LIMIT, () => page.evaluate(photoState), (now) => {
    return now.taken && now.saveable;
  });
  photo.counter = await page.evaluate(readCounter, 'photo');
  hold(photo.counter !== null, 'the photo shows no test card');
  say(`photo: ${photo.width} × ${photo.height}, can be saved`);
  return photo;
}

async function hangUp(page) {
  await page.click('#hang-up');
  await reaches(page, 'idle', 5_000);
  say('hung up');
}

let browser;
let otherBrowser;
try {
  hold(options.url, '--url is missing');
  browser = await launch(options.browser);
  verdict.version = await browser.version();
  say(`${verdict.version}, the offer comes from the ${options.offer}`);

  if (options.peer === 'page') {
    // A window of its own: a hidden tab draws no test card.
    otherBrowser = await launch(options.browser);
    const other = await open(otherBrowser, { room: options.room, offer: 'page', echo: '' }, (page) => {
      return page.evaluateOnNewDocument(installSyntheticDevices, Number(options.tone));
    });
    await openCamera(other);
    await other.click('#call');
    await reaches(other, 'waiting', CONNECT_LIMIT);
  }
  const page = await open(browser, { room: options.room, offer: options.offer });
  await openCamera(page);

  verdict.connectMs = await callAndConnect(page);
  verdict.video = await checkVideo(page);
  verdict.audio = await checkAudio(page);
  verdict.stats = await checkStats(page);
  await checkText(page, 'Grüße, and a second line of thought');
  verdict.echo = await checkEcho(page);
  verdict.photo = await checkPhoto(page);
  if (options.screenshot) {
    await page.screenshot({ path: options.screenshot });
  }
  await hangUp(page);

  verdict.secondConnectMs = await callAndConnect(page);
  verdict.secondVideo = await checkVideo(page);
  await checkText(page, 'the second call');
  await hangUp(page);
  verdict.ok = true;
} catch (error) {
  verdict.failure = error.message;
  say(`FAILED: ${error.message}`);
} finally {
  await browser?.close().catch(() => {});
  await otherBrowser?.close().catch(() => {});
}
verdict.seconds = Number(((performance.now() - started) / 1000).toFixed(1));
console.log(JSON.stringify(verdict));
process.exit(verdict.ok ? 0 : 1);
