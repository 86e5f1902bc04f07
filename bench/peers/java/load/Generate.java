import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes events into a topic and the truth into a file: `fill TOPIC ADS TRUTH SEED EVENTS RATE` as
 * fast as it can, `pace TOPIC ADS TRUTH SEED RATE:SECONDS…` as events come due. Each event carries
 * the time at which it was due, so that a generator that falls behind shows as latency. The truth
 * is a line `second,campaign,views` for each second of event time; the last events, an hour later
 * and one a partition, close all windows and are no part of it.
 */
public final class Generate {
  private static final long CLOSING_MS = 3_600_000;
  private static final int TICK_MS = 5;
  private static final long FILL_FROM_MS = 1_700_000_000_000L;

  private final String topic;
  private final List<String> campaignOfAd = new ArrayList<>();
  private final Events events;
  private final KafkaProducer<byte[], byte[]> producer;
  private final int partitions;
  private final TreeMap<Long, Map<String, int[]>> views = new TreeMap<>();
  private Map<String, int[]> viewsNow = Map.of();
  private long second = Long.MIN_VALUE;
  private long sent;

  private Generate(String topic, Path ads, long seed) throws Exception {
    this.topic = topic;
    List<String> adIds = new ArrayList<>();
    for (String line : Files.readAllLines(ads)) {
      String[] pair = line.split(",");
      adIds.add(pair[0]);
      campaignOfAd.add(pair[1]);
    }
    events = new Events(adIds, seed);
    ByteArraySerializer bytes = new ByteArraySerializer();
    var settings = Broker.with(Map.of("acks", "1", "linger.ms", "2", "batch.size", "131072",
        "buffer.memory", "134217728", "max.block.ms", "120000"));
    producer = new KafkaProducer<>(settings, bytes, bytes);
    partitions = producer.partitionsFor(topic).size();
  }

  public static void main(String[] args) throws Exception {
    Generate generate = new Generate(args[1], Path.of(args[2]), Long.parseLong(args[4]));
    List<Long> behindMs = new ArrayList<>();
    long endMs = args[0].equals("fill")
        ? generate.fill(Long.parseLong(args[5]), Long.parseLong(args[6]))
        : generate.pace(List.of(args).subList(5, args.length), behindMs);
    generate.finish(endMs, Path.of(args[3]));
    System.out.println("{\"events\":" + generate.sent + ",\"behindMsMax\":" + behindMs + "}");
  }

  private long fill(long count, long perSecond) {
    for (long i = 0; i < count; i++) send(FILL_FROM_MS + i * 1000 / perSecond);
    return FILL_FROM_MS + count * 1000 / perSecond;
  }

  private long pace(List<String> schedule, List<Long> behindMs) throws InterruptedException {
    long startMs = System.currentTimeMillis() + 100;
    System.out.println("{\"startMs\":" + startMs + "}");
    for (String part : schedule) {
      String[] pair = part.split(":");
      long perSecond = Long.parseLong(pair[0]), count = perSecond * Long.parseLong(pair[1]);
      long worstMs = 0;
      for (long i = 0; i < count; Thread.sleep(TICK_MS)) {
        long nowMs = System.currentTimeMillis();
        long due = Math.min(count, Math.max(0, nowMs - startMs) * perSecond / 1000);
        // Those of the last tick are not late.
        if (i < due) worstMs = Math.max(worstMs, nowMs - TICK_MS - startMs - i * 1000 / perSecond);
        for (; i < due; i++) send(startMs + i * 1000 / perSecond);
      }
      behindMs.add(worstMs);
      startMs += count * 1000 / perSecond;
    }
    return startMs;
  }

  private void send(long timeMs) {
    byte[] event = events.make(sent, timeMs);
    if (events.isView) {
      if (timeMs / 1000 != second) {
        second = timeMs / 1000;
        viewsNow = views.computeIfAbsent(second, key -> new TreeMap<>());
      }
      viewsNow.computeIfAbsent(campaignOfAd.get(events.ad), key -> new int[1])[0]++;
    }
    // The producer has copied the bytes when `send` returns, so that they may be written again.
    producer.send(new ProducerRecord<>(topic, (int) (sent++ % partitions), null, event));
  }

  private void finish(long endMs, Path truth) throws Exception {
    // All that count are in the log before windows close.
    producer.flush();
    for (int partition = 0; partition < partitions; partition++) {
      byte[] event = events.makeView(partition, endMs + CLOSING_MS);
      producer.send(new ProducerRecord<>(topic, partition, null, event));
    }
    producer.close();
    try (BufferedWriter lines = Files.newBufferedWriter(truth)) {
      for (var of : views.entrySet()) {
        for (var each : of.getValue().entrySet()) {
          lines.write(of.getKey() + "," + each.getKey() + "," + each.getValue()[0] + "\n");
        }
      }
    }
  }
}
