import static java.nio.charset.StandardCharsets.US_ASCII;

import java.util.List;

/**
 * Events of the Yahoo Streaming Benchmark as JSON. Event i is a function of the seed and of i: its
 * bytes are one of 15 templates, one for each type of ad and of event, with ids and time put in.
 */
final class Events {
  private static final String[] AD_TYPES =
      {"banner", "modal", "sponsored-search", "mail", "mobile"};
  private static final String[] EVENT_TYPES = {"view", "click", "purchase"};
  private static final String ID = "00000000-0000-4000-8000-000000000000";
  private static final String TIME = "0000000000000";
  private static final String TAIL = "\",\"ip_address\":\"1.2.3.4\"}";
  private static final byte[] HEX = "0123456789abcdef".getBytes(US_ASCII);

  private final byte[][] templates = new byte[AD_TYPES.length * EVENT_TYPES.length][];
  private final int userAt, pageAt, adAt;
  private final byte[][] ads;
  private final long seed;

  /** Of the event that was made last. */
  int ad;
  boolean isView;

  Events(List<String> adIds, long seed) {
    this.seed = mix(seed);
    ads = adIds.stream().map(id -> id.getBytes(US_ASCII)).toArray(byte[][]::new);
    String user = "{\"user_id\":\"", page = "\",\"page_id\":\"", ad = "\",\"ad_id\":\"";
    userAt = user.length();
    pageAt = userAt + ID.length() + page.length();
    adAt = pageAt + ID.length() + ad.length();
    String head = user + ID + page + ID + ad + ID + "\",\"ad_type\":\"";
    for (int i = 0; i < templates.length; i++) {
      String types = AD_TYPES[i / EVENT_TYPES.length] + "\",\"event_type\":\""
          + EVENT_TYPES[i % EVENT_TYPES.length] + "\",\"event_time\":\"";
      templates[i] = (head + types + TIME + TAIL).getBytes(US_ASCII);
    }
  }

  /** The event's bytes; they hold until the next event is made. */
  byte[] make(long index, long timeMs) {
    long dice = mix(seed + index * 0x9e3779b97f4a7c15L);
    return write((int) ((dice >>> 1) % templates.length), dice, timeMs);
  }

  /** One that counts, whatever its index would say. */
  byte[] makeView(long index, long timeMs) {
    return write(0, mix(seed + index), timeMs);
  }

  private byte[] write(int template, long dice, long timeMs) {
    byte[] event = templates[template];
    long more = mix(dice);
    isView = template % EVENT_TYPES.length == 0;
    ad = (int) ((more >>> 1) % ads.length);
    for (int digit = 0; digit < 8; digit++) {
      event[userAt + digit] = HEX[(int) (more >>> (4 * digit)) & 15];
      event[pageAt + digit] = HEX[(int) (dice >>> (32 + 4 * digit)) & 15];
    }
    System.arraycopy(ads[ad], 0, event, adAt, ID.length());
    int timeEnd = event.length - TAIL.length();
    for (int digit = 1; digit <= TIME.length(); digit++, timeMs /= 10) {
      event[timeEnd - digit] = (byte) ('0' + timeMs % 10);
    }
    return event;
  }

  /** The finalizer of SplitMix64 [Steele, Lea, Flood 2014]. */
  private static long mix(long value) {
    value = (value ^ (value >>> 30)) * 0xbf58476d1ce4e5b9L;
    value = (value ^ (value >>> 27)) * 0x94d049bb133111ebL;
    return value ^ (value >>> 31);
  }
}
