import { silenceLibraries } from '../../console/library-output.ts';
import { ImageMaker } from './image-maker.ts';

/**
 * The worker thread of a transfer: decompression and writing, both synchronous and both slow, away from the thread
 * that reads the socket and draws the progress.
 */
declare const self: Worker;

silenceLibraries();

const maker = new ImageMaker((message) => postMessage(message));
self.onmessage = ({ data }) => maker.receive(data);
