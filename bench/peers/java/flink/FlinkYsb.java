import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.producer.ProducerRecord;

/** The Yahoo Streaming Benchmark with Flink's DataStream API; options come by the environment. */
public final class FlinkYsb {
  public static void main(String[] args) throws Exception {
    String out = System.getenv("OUT");
    HashMap<String, String> campaignOfAd = new HashMap<>();
    for (String line : Files.readAllLines(Path.of(System.getenv("ADS")))) {
      String[] pair = line.split(",");
      campaignOfAd.put(pair[0], pair[1]);
    }
    KafkaSource<AdEvent> source = KafkaSource.<AdEvent>builder()
        .setBootstrapServers(System.getenv("BOOTSTRAP"))
        .setTopics(System.getenv("IN"))
        .setGroupId("flink-" + out)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setValueOnlyDeserializer(new AdEvents())
        // A fetch that finds nothing waits this long at the broker; the default is 500 ms.
        .setProperty("fetch.max.wait.ms", "5")
        .setProperty("partition.discovery.interval.ms", "-1")
        .build();
    // Given to the source, a strategy keeps a watermark for each partition.
    WatermarkStrategy<AdEvent> watermarks = WatermarkStrategy
        .<AdEvent>forBoundedOutOfOrderness(milliseconds("WATERMARK_DELAY_MS"))
        .withTimestampAssigner((event, recordMs) -> event.timeMs);
    KafkaSink<Tuple2<String, String>> sink = KafkaSink.<Tuple2<String, String>>builder()
        .setBootstrapServers(System.getenv("BOOTSTRAP"))
        .setDeliveryGuarantee(DeliveryGuarantee.valueOf(System.getenv("GUARANTEE")))
        .setTransactionalIdPrefix("flink-" + out)
        // Not longer than the broker permits, which is 15 minutes.
        .setProperty("transaction.timeout.ms", "600000")
        .setProperty("linger.ms", "0")
        .setRecordSerializer(new Records(out))
        .build();
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.fromSource(source, watermarks, "events")
        .flatMap((AdEvent event, Collector<String> campaigns) -> {
          String campaign = event.isView ? campaignOfAd.get(event.adId) : null;
          if (campaign != null) campaigns.collect(campaign);
        })
        .returns(Types.STRING)
        .keyBy(campaign -> campaign, Types.STRING)
        .window(TumblingEventTimeWindows.of(milliseconds("WINDOW_MS")))
        .aggregate(new Views(), new WindowEnd())
        .sinkTo(sink);
    environment.execute("ysb");
  }

  private static Duration milliseconds(String variable) {
    return Duration.ofMillis(Long.parseLong(System.getenv(variable)));
  }

  /** The part of an event that the query needs. */
  public static final class AdEvent {
    public String adId;
    public boolean isView;
    public long timeMs;
  }

  /** Parses no further than to the last of the three fields. */
  private static final class AdEvents extends AbstractDeserializationSchema<AdEvent> {
    private static final JsonFactory JSON = new JsonFactory();

    @Override
    public AdEvent deserialize(byte[] message) throws IOException {
      AdEvent event = new AdEvent();
      int missing = 3;
      try (JsonParser json = JSON.createParser(message)) {
        json.nextToken();
        while (missing > 0 && json.nextToken() == JsonToken.FIELD_NAME) {
          String name = json.currentName();
          json.nextToken();
          missing--;
          if (name.equals("ad_id")) event.adId = json.getText();
          else if (name.equals("event_type")) event.isView = json.getText().equals("view");
          else if (name.equals("event_time")) event.timeMs = Long.parseLong(json.getText());
          else missing++;
        }
      }
      return event;
    }
  }

  private static final class Records
      implements KafkaRecordSerializationSchema<Tuple2<String, String>> {
    private final String topic;

    Records(String topic) {
      this.topic = topic;
    }

    @Override
    public ProducerRecord<byte[], byte[]> serialize(Tuple2<String, String> row,
        KafkaSinkContext context, Long recordMs) {
      return new ProducerRecord<>(topic, row.f0.getBytes(UTF_8), row.f1.getBytes(UTF_8));
    }
  }

  private static final class Views implements AggregateFunction<String, Long, Long> {
    @Override
    public Long createAccumulator() {
      return 0L;
    }

    @Override
    public Long add(String campaign, Long views) {
      return views + 1;
    }

    @Override
    public Long merge(Long some, Long others) {
      return some + others;
    }

    @Override
    public Long getResult(Long views) {
      return views;
    }
  }

  private static final class WindowEnd
      extends ProcessWindowFunction<Long, Tuple2<String, String>, String, TimeWindow> {
    @Override
    public void process(String campaign, Context context, Iterable<Long> views,
        Collector<Tuple2<String, String>> rows) {
      long end = context.window().getEnd();
      long count = views.iterator().next();
      rows.collect(Tuple2.of(campaign, "{\"window_end\":" + end + ",\"count\":" + count + "}"));
    }
  }
}
