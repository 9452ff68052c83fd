/** Server-sent events over fetch, which unlike EventSource can say who asks. */

export interface ServerEvent {
  event: string;
  data: string;
}

/** Cuts a stream of text into events; keeps what is not complete yet. */
export class EventReader {
  private rest = "";

  read(text: string): ServerEvent[] {
    const blocks = (this.rest + text).split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event) => event !== null);
  }
}

function parse(block: string): ServerEvent | null {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  return data.length > 0 ? { event, data: data.join("\n") } : null;
}
