import static org.apache.spark.sql.functions.broadcast;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.from_json;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.timestamp_millis;
import static org.apache.spark.sql.functions.to_json;
import static org.apache.spark.sql.functions.unix_millis;
import static org.apache.spark.sql.functions.window;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.streaming.DataStreamWriter;
import org.apache.spark.sql.streaming.StreamingQueryException;
import org.apache.spark.sql.streaming.StreamingQueryListener;
import org.apache.spark.sql.streaming.Trigger;
import org.apache.spark.sql.types.StructType;

/**
 * The Yahoo Streaming Benchmark with Structured Streaming; options come by the environment. MODE is
 * append or update, in micro-batches on end, or rtm: real-time mode, which has updates only.
 */
public final class SparkYsb {
  /** How long a query that fails is started again and again. */
  private static final long PATIENCE_MS = 60_000;

  public static void main(String[] args) throws Exception {
    SparkSession spark = SparkSession.builder().appName("ysb").getOrCreate();
    Path started = Path.of(System.getenv("STARTED"));
    spark.streams().addListener(new Started(started));
    String mode = System.getenv("MODE");
    boolean isRealTime = mode.equals("rtm");
    DataStreamWriter<Row> query = counts(spark).writeStream().format("kafka")
        .option("kafka.bootstrap.servers", System.getenv("BOOTSTRAP"))
        .option("topic", System.getenv("OUT"))
        .option("checkpointLocation", System.getenv("CHECKPOINTS"))
        .outputMode(isRealTime ? "update" : mode)
        .trigger(isRealTime ? Trigger.RealTime("10 seconds") : Trigger.ProcessingTime(0));
    // In real-time mode the loss of an executor fails the query, and so does a start before there
    // are slots for all of its tasks again.
    long firstFailureMs = Long.MAX_VALUE;
    do {
      try {
        query.start().awaitTermination();
        return;
      } catch (StreamingQueryException failure) {
        System.err.println("the query failed: " + failure.getMessage());
        firstFailureMs = Math.min(firstFailureMs, System.currentTimeMillis());
        Thread.sleep(500);
      }
    } while (System.currentTimeMillis() - firstFailureMs < PATIENCE_MS);
    System.exit(1);
  }

  private static Dataset<Row> counts(SparkSession spark) throws IOException {
    StructType adTypes = new StructType().add("ad_id", "string").add("campaign_id", "string");
    List<Row> rows = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(System.getenv("ADS")))) {
      rows.add(RowFactory.create((Object[]) line.split(",")));
    }
    Dataset<Row> ads = spark.createDataFrame(rows, adTypes);
    StructType eventTypes = new StructType()
        .add("ad_id", "string").add("event_type", "string").add("event_time", "string");
    return spark.readStream().format("kafka")
        .option("kafka.bootstrap.servers", System.getenv("BOOTSTRAP"))
        .option("subscribe", System.getenv("IN"))
        .option("startingOffsets", "earliest")
        .load()
        .select(from_json(col("value").cast("string"), eventTypes).as("event"))
        .select(col("event.ad_id"), col("event.event_type"),
            timestamp_millis(col("event.event_time").cast("long")).as("event_time"))
        .withWatermark("event_time", System.getenv("WATERMARK_DELAY_MS") + " milliseconds")
        .where(col("event_type").equalTo("view"))
        .join(broadcast(ads), "ad_id")
        .groupBy(col("campaign_id"),
            window(col("event_time"), System.getenv("WINDOW_MS") + " milliseconds").as("window"))
        .count()
        .select(col("campaign_id").as("key"),
            to_json(struct(unix_millis(col("window.end")).as("window_end"), col("count")))
                .as("value"));
  }

  /** Leaves in a file when the query began. */
  private static final class Started extends StreamingQueryListener {
    private final Path file;

    Started(Path file) {
      this.file = file;
    }

    @Override
    public void onQueryStarted(QueryStartedEvent event) {
      try {
        if (!Files.exists(file)) Files.writeString(file, System.currentTimeMillis() + "\n");
      } catch (IOException failure) {
        throw new UncheckedIOException(failure);
      }
    }

    @Override
    public void onQueryProgress(QueryProgressEvent event) {}

    @Override
    public void onQueryTerminated(QueryTerminatedEvent event) {}
  }
}
